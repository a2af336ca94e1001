# What the demo and the acceptance scripts share: a temporary world of a keeper, providers and one
# mount, all processes of its own, and its removal whatever happens. To be sourced, not run.
#
# Functions set these globals:
#   work      the temporary folder that everything is in; MEFS_HOME is $work/home
#   mnt       the mount point
#   keeper[k], keeper_pid[k]   host:port and process of the keepers, numbered from 0; $keeper is the first
#   provider_pid[i], provider_port[i]   the providers, numbered from 1
#   at_end    a function that `finish` calls first, if it is set
# shellcheck shell=bash

set -Eeuo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s %s\n' "$(date +%T)" "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# missing WHAT HOW: an external suite is not there; says so and ends with 77, neither PASS nor FAIL.
missing() { printf 'SKIP: %s: %s is missing: %s\n' "${0##*/}" "$1" "$2" >&2; exit 77; }

# world NAME: makes the temporary folder and sees to its removal.
world() {
    name=$1
    verdict=FAIL
    work=$(mktemp -d "/var/tmp/mefs-$name.XXXXXX")
    mnt=$work/mnt
    export MEFS_HOME=$work/home
    mkdir -p "$mnt" "$MEFS_HOME" "$work/log"
    keeper=()
    keeper_pid=("")
    keeper_host=()
    keeper_options=()
    provider_pid=()
    provider_port=()
    provider_host=()
    provider_prefix=()
    children=()
    trap 'finish $?' EXIT
    trap 'echo "${0##*/}: line $LINENO: $BASH_COMMAND: failed" >&2' ERR
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# programs: puts the release build's programs first in PATH, building them if they are missing.
# MEFS_PROGRAMS names another folder to take them from.
programs() {
    local built=${MEFS_PROGRAMS-}
    if [[ -z $built ]]; then
        "$root/Scripts/setup"
        "$root/Scripts/build"
        built=$(cd "$root" && swift build -c release --show-bin-path)
    fi
    built=$(readlink -f "$built")
    [[ -x $built/mefs && -x $built/mount.mefs ]] || die "no mefs and mount.mefs in $built"
    PATH=$built:$PATH
}

# need COMMAND PACKAGE: installs a Debian package unless the command is there.
need() {
    command -v "$1" >/dev/null && return
    say "installing $2"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2"; } \
        </dev/null >/dev/null || die "cannot install $2; install it by hand"
}

# The end of every script: everything of ours goes, the verdict stays.
finish() {
    local status=$1 pid
    trap - EXIT INT TERM HUP ERR
    set +e
    for pid in "${children[@]}"; do kill -9 "$pid" 2>/dev/null; done
    unmount_hard
    [[ -z ${at_end-} ]] || "$at_end"
    for pid in "${keeper_pid[@]}" "${provider_pid[@]}"; do
        [[ -n $pid ]] && kill -9 "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    if ((status != 0)) && [[ $verdict != PASS ]]; then
        show_logs
        [[ -z ${MEFS_KEEP-} ]] || { echo "kept: $work"; exit "$status"; }
    fi
    remove_work || status=1
    [[ $verdict != PASS || $status -eq 0 ]] || verdict=FAIL
    echo "$verdict: $name"
    [[ $verdict == PASS ]] || status=$((status ? status : 1))
    exit "$status"
}

remove_work() {
    rm -rf --one-file-system "$work"
    [[ ! -e $work ]] || { echo "left behind: $work" >&2; return 1; }
}

# The last lines of every log, for whoever has to find out why.
show_logs() {
    local log
    for log in "$work"/log/* "$MEFS_HOME"/volumes/*/mount.log; do
        [[ -s $log ]] || continue
        printf -- '--- %s\n' "$log"
        tail -n 12 "$log"
    done >&2
}

# free_ports COUNT: so many TCP ports that are free on loopback now.
free_ports() {
    python3 - "$1" <<'END'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))
END
}

# eventually SECONDS COMMAND…: repeats the command until it succeeds.
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

# network COUNT [CAPACITY [KEEPERS]]: a keeper, or so many, and so many providers, each a process, and
# the network's file.
#
# May be set before: host, the address of all; keeper_options, an array; keeper_host[k], provider_host[i]
# and provider_prefix[i], the address of one and the command that runs it elsewhere.
network() {
    local count=$1 keepers=${3-1} ports i
    capacity=${2-20G}
    read -ra ports < <(free_ports $((keepers + count)))
    local which=()
    for ((i = 0; i < keepers; i++)); do
        keeper[i]=${keeper_host[i]-${host-127.0.0.1}}:${ports[i]}
        which+=(--keeper "${keeper[i]}")
        start_keeper "$i"
        eventually 30 keeper_up "$i" || die "the keeper at ${keeper[i]} did not come up"
    done
    if ((keepers == 1)); then
        mefs network export --keeper "$keeper" --name demo --code 4+2 -o "$work/net.json" >/dev/null
    else
        mefs network create --state "$work/keeper" "${which[@]}" --name demo --code 4+2 -o "$work/net.json" \
            >/dev/null
        for ((i = 1; i < keepers; i++)); do
            mefs keeper join --state "$work/keeper-$i" "$work/net.json" >/dev/null
        done
    fi
    for ((i = 1; i <= count; i++)); do
        provider_port[i]=${ports[keepers + i - 1]}
        start_provider "$i"
    done
    eventually 30 providers_up "$count" || die "only some of the $count providers came up"
}

# start_keeper [K]: the first, or another one; the first's state is $work/keeper, of others keeper-K.
start_keeper() {
    local i=${1-0}
    mefs keeper run --state "$(keeper_state "$i")" --listen "${keeper[i]}" "${keeper_options[@]}" \
        2>>"$work/log/$(basename "$(keeper_state "$i")")" </dev/null &
    keeper_pid[i]=$!
    disown
}

keeper_state() { if (($1 == 0)); then echo "$work/keeper"; else echo "$work/keeper-$1"; fi; }
keeper_up() { mefs network export --keeper "${keeper[$1]}"; }

# kill_keeper K: SIGKILL, and no return before it is gone.
kill_keeper() {
    kill -9 "${keeper_pid[$1]}"
    gone "${keeper_pid[$1]}" 30 || die "a keeper survived SIGKILL"
    keeper_pid[$1]=
}

start_provider() {
    local i=$1 prefix=()
    [[ -z ${provider_prefix[i]-} ]] || read -ra prefix <<<"${provider_prefix[i]}"
    "${prefix[@]}" mefs provider run --store "$work/provider-$i" --capacity "$capacity" \
        --network "$work/net.json" --listen "${provider_host[i]-${host-127.0.0.1}}:${provider_port[i]}" \
        2>>"$work/log/provider-$i" </dev/null &
    provider_pid[i]=$!
    disown
}

# kill_provider I: SIGKILL, and no return before it is gone.
kill_provider() {
    local pid=${provider_pid[$1]}
    kill -9 "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
    provider_pid[$1]=
}

# providers_up COUNT: succeeds if the keeper sees at least so many.
providers_up() {
    (($(mefs network show "$work/net.json" --live --json | field providersUp) >= $1))
}

# field NAME: one number or text out of the JSON on standard input.
field() {
    python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

create_volume() {
    mefs volume create "$1" --network "$work/net.json" --code 4+2 --phrase-out "$work/phrase" >/dev/null
}

# mount_volume NAME [OPTIONS]: mounts it at $mnt, with the options in MEFS_TEST_OPTIONS too.
mount_volume() {
    local options=()
    [[ -z ${2-} ]] || options=(-o "$2")
    [[ -z ${MEFS_TEST_OPTIONS-} ]] || options+=(-o "$MEFS_TEST_OPTIONS")
    mount.mefs "$1" "$mnt" "${options[@]}" </dev/null >>"$work/log/mount" 2>&1
    mountpoint -q "$mnt" || die "mount.mefs returned but $mnt is not mounted"
}

mount_pid() { mefs status "$mnt" --json | field pid; }

# alive: whether the mount answers.
alive() { timeout 60 stat "$mnt" >/dev/null 2>&1 && mountpoint -q "$mnt"; }

# unmount: the ordinary way, and no return before the mount process is gone.
unmount() {
    local pid
    pid=$(mount_pid)
    # Not by the helper of an installed MEFS, which places what is dirty whatever the mount was told.
    umount -i "$mnt"
    gone "$pid" 120 ||
        die "the mount process $pid is still there two minutes after umount;" \
            "these keep the mount in a namespace of their own: $(grep -ls " $mnt " /proc/[0-9]*/mounts | tr '\n' ' ')"
}

# gone PID SECONDS: waits until the process is gone.
gone() {
    local end=$((SECONDS + $2))
    while kill -0 "$1" 2>/dev/null; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}

# crash_mount: SIGKILL of the mount process and removal of the dead mount.
crash_mount() {
    local pid=$1
    kill -9 "$pid"
    gone "$pid" 30 || die "the mount process $pid survived SIGKILL"
    umount -l "$mnt"
}

# check_volume NAME WHEN [--deep]: `mefs fsck -n` of a volume that is not mounted finds nothing; counts
# in `checks`. A program that has no fsck yet is not asked.
check_volume() {
    [[ $(mefs --help) == *$'\n'*' fsck '* ]] || return 0
    mefs fsck -n "$1" "${@:3}" >"$work/log/fsck" 2>&1 || die "$2: mefs fsck: $(head -n 20 "$work/log/fsck")"
    checks=$((${checks-0} + 1))
}

# Takes the mount away whatever state it is in.
unmount_hard() {
    local pid
    grep -qs " $mnt " /proc/self/mounts || return 0
    pid=$(timeout 5 mefs status "$mnt" --json 2>/dev/null | field pid 2>/dev/null)
    if [[ -n $pid ]]; then
        kill -9 "$pid" 2>/dev/null
        gone "$pid" 10
    fi
    while grep -qs " $mnt " /proc/self/mounts; do
        umount -l "$mnt" || break
    done
}

# sums DIR FILE: SHA-256 of every regular file below DIR, and every symbolic link's target.
sums() {
    (
        cd "$1"
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
        find . -type l -printf '%p -> %l\n' | LC_ALL=C sort
    ) >"$2"
}

# same DIR FILE: fails unless DIR has exactly the sums in FILE.
same() {
    sums "$1" "$work/same.tmp"
    cmp -s "$2" "$work/same.tmp" && return
    echo "$(diff "$2" "$work/same.tmp" | grep -c '^<') files are not as they were, such as" >&2
    diff -U 0 "$2" "$work/same.tmp" | grep '^[-+][^-+]' | sort -t ' ' -k 3,3 | head -n 12 >&2
    return 1
}

# daemons: the pids of all daemons that serve this world.
daemons() {
    echo "${keeper_pid[@]}" "${provider_pid[@]}" "$(mount_pid 2>/dev/null || true)"
}

# cpu_seconds PID…: processor time that the processes have used so far, in seconds.
cpu_seconds() {
    python3 - "$@" <<'END'
import os, sys
ticks = 0
for pid in sys.argv[1:]:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        continue
    ticks += int(fields[11]) + int(fields[12])
print(round(ticks / os.sysconf("SC_CLK_TCK"), 2))
END
}

# bytes_in DIR: sum of the sizes of the regular files below it.
bytes_in() { find "$1" -type f -printf '%s\n' | awk '{ s += $1 } END { printf "%.0f\n", s }'; }
files_in() { find "$1" -type f | wc -l; }

now() { date +%s.%N; }
# per_second BYTES START END: MiB/s with one digit.
per_second() { awk -v b="$1" -v t0="$2" -v t1="$3" 'BEGIN { printf "%.1f", b / 1048576 / (t1 - t0) }'; }

# real_tree DIR COUNT: copies a tree of this machine with at least COUNT files into DIR.
real_tree() {
    local dir=$1 count=$2 from
    mkdir -p "$dir"
    for from in /usr/include /usr/lib/python3*/ /usr/share/perl /usr/share/doc /usr/share/zoneinfo \
        /usr/lib/x86_64-linux-gnu/perl-base /usr/share; do
        [[ -d $from ]] || continue
        cp -a --parents "$from" "$dir/" 2>/dev/null || true
        (($(files_in "$dir") < count)) || return 0
    done
    die "this machine has fewer than $count files to copy under /usr"
}

# git_repository DIR and database FILE: a git repository and a SQLite database with a history.
git_repository() {
    git init -q -b main "$1"
    (
        cd "$1"
        export GIT_AUTHOR_NAME=demo GIT_AUTHOR_EMAIL=demo@example.org
        export GIT_COMMITTER_NAME=demo GIT_COMMITTER_EMAIL=demo@example.org
        cp -a "$root/Scripts" "$root/README.md" .
        git add -A && git commit -q -m "First"
        local i
        for i in 1 2 3 4 5 6 7 8; do
            seq "$i" 5000 >numbers-"$i".txt
            git add -A && git commit -q -m "Numbers from $i"
        done
        git gc -q
        git fsck --full --strict
    )
}

database() {
    sqlite3 "$1" <<'END' >/dev/null
PRAGMA journal_mode=WAL;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX item_name ON item(name);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO item SELECT i, 'item ' || (i * 7919 % 20000), randomblob(200) FROM n;
UPDATE item SET body = randomblob(300) WHERE id % 3 = 0;
DELETE FROM item WHERE id % 7 = 0;
END
}

database_ok() { [[ $(sqlite3 "$1" 'PRAGMA integrity_check') == ok ]]; }
