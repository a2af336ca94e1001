# What the measurements of one thing share, on top of Scripts/lib.sh. To be sourced, not run.
# shellcheck shell=bash
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
here=$root/Scripts/performance

# options_into NAME… -- ARGUMENTS: sets the variable of each option that is given, `--NAME VALUE`
# (rounds for --rounds, size_mib for --size-mib), and `out`, the folder of --out. Needs `usage`.
options_into() {
    local known=()
    command="Scripts/bench ${0##*/}"
    while [[ $1 != -- ]]; do
        known+=("$1")
        shift
    done
    shift
    command+=" $*"
    out=
    while (($#)); do
        [[ $1 != --help ]] || { usage; exit 0; }
        [[ " out ${known[*]} " == *" ${1#--} "* && $1 == --* ]] || die "no option $1; see --help"
        (($# > 1)) || die "$1 wants a value"
        # An option of dashes is a variable of underscores.
        local variable=${1#--}
        declare -g "${variable//-/_}=$2"
        shift 2
    done
    ((EUID == 0)) || die "needs root, to drop the kernel's caches"
    out=${out:-$root/.build/performance/$(date -u +%Y%m%d-%H%M%S)}
    mkdir -p "$out"
    out=$(readlink -f "$out")
    python3 "$here/report.py" --conditions "$out" --command "$command"
}

work() { python3 "$here/workload.py" "$@"; }

# cold: nothing of the mount is in its cache or the kernel's.
cold() {
    mefs sync "$mnt" >/dev/null
    mefs cache drop "$mnt" >/dev/null
    sync -f "$work"
    echo 3 >/proc/sys/vm/drop_caches
}

# list NUMBERS…: "[1,2,3]".
list() { local IFS=,; echo "[$*]"; }

# ratio WORK FIGURE UNIT OF TO REFERENCE [LEAST]: a line for `remember`; OF and TO are lists of the
# rounds' figures, whose ratio is to be LEAST at least.
ratio() {
    printf '{"work": "%s", "figure": "%s", "unit": "%s", "of": %s, "to": %s, "reference": "%s"%s}\n' \
        "${@:1:6}" "${7:+, \"least\": $7}"
}

# remember NAME: keeps the JSON objects on standard input, one a line, as what NAME found.
remember() {
    python3 "$here/remember.py" "$1" "$out/$1.rows.json"
    python3 "$here/report.py" "$out" >"$out/report.txt"
}
