"""Makes the report of one output folder: report.md, report.json, chart.svg.

report.py [--write-docs] [--note TEXT] [--against FILE] DIR
report.py --conditions DIR --command COMMAND     notes when, where and how before a run
"""

import argparse
import json
import os
import subprocess
import sys
import time

import chart
import targets
from results import OWN, Results, load

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
# What may differ between two runs of the same thing, on this kind of machine.
NOISE = 1.3


def output(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def first_line(path, start):
    with open(path) as file:
        found = (line.split(":", 1)[1].strip() for line in file if line.startswith(start))
        return next(found, "unknown")


def without_folder(command):
    """A command line without its --out, which is nobody else's folder."""
    words = command.split()
    while "--out" in words:
        at = words.index("--out")
        del words[at : at + 2]
    return " ".join(words)


def conditions(directory, command):
    """When, on what machine and of which commit the figures are."""
    kilobytes = int(first_line("/proc/meminfo", "MemTotal").split()[0])
    changed = bool(output("git", "status", "--porcelain", "--untracked-files=no"))
    return {
        "date": time.strftime("%F", time.gmtime()),
        "command": without_folder(command),
        "commit": (output("git", "rev-parse", "--short=12", "HEAD") or "unknown")
        + (" with changes" if changed else ""),
        "kernel": os.uname().release,
        "cpu": first_line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_gib": round(kilobytes / 1048576),
        "disk": output("findmnt", "-no", "FSTYPE,SOURCE", "-T", directory),
        "load_before": os.getloadavg()[0],
    }


def number(value):
    if value is None:
        return "–"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.3g}"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def verdicts(rows):
    words = {True: "met", False: "**missed**"}
    cells = [
        [
            row["work"],
            f"{row['figure']} ({row['unit']})" if row.get("unit") else row["figure"],
            number(row.get("value")),
            number(row.get("off")),
            number(row.get("reference_value")),
            row["target"],
            number(row.get("ratio")),
            words.get(row["met"], "not measured" if row["target"] else ""),
            row.get("detail", ""),
        ]
        for row in rows
    ]
    header = ["work", "figure", "MEFS", "passthrough=off", "reference", "target", "ratio"]
    header += ["verdict", "note"]
    return table(header, cells)


def figures(results, field="value"):
    rows = []
    for metric in results.metrics:
        values = [results.median(column, metric, field) for column in results.columns]
        if any(value is not None for value in values):
            unit = results.unit(metric) if field == "value" else "CPU s/GiB"
            rows.append([f"{metric} ({unit})", *map(number, values)])
    return table(["median", *results.columns], rows)


def ratios(results, reference, name=None):
    rows = []
    for metric in results.metrics:
        base = results.best("peer", metric) if reference == "peer" else reference
        if base is None or results.median(base, metric) is None:
            continue
        values = [results.ratio(column, base, metric) for column in results.columns]
        rows.append([metric, *map(number, values)])
    return table([name or f"ratio to {reference}", *results.columns], rows)


def drawing(results):
    groups = []
    for metric in results.metrics:
        best = results.best("peer", metric)
        bars = []
        for series in ("hp", "kpass", "mefs", "mefs-off", "peer"):
            column = best if series == "peer" else series
            ratio = results.ratio(column, "ext4", metric) if column else None
            if ratio:
                bars.append((series, ratio))
        if bars:
            groups.append((metric, bars))
    return chart.draw(groups, "Speed, ext4 = 1; more is better") if groups else None


def stages(results):
    """The stages' tables, or nothing."""
    parts = []
    kinds = [
        ("CPU s/GiB", "processorSecondsPerGiB", "MB/s", "megabytesPerSecond"),
        ("CPU µs each", "processorMicroseconds", "a second", "perSecond"),
    ]
    for cost, cost_field, rate, rate_field in kinds:
        rows = [
            [stage["stage"], number(stage[cost_field]), number(stage[rate_field])]
            for stage in results.stages
            if cost_field in stage
        ]
        if rows:
            parts += ["", table(["stage alone", cost, rate], rows)]
    return parts


def told(results):
    """The lines of a person's reading about how the figures came about."""
    known = results.conditions
    lines = []
    if known:
        lines.append(
            f"{known['date']}, commit {known['commit']}, Linux {known['kernel']}, {known['cores']} ×"
            f" {known['cpu']}, {known['memory_gib']} GiB, {known['disk']}, load before"
            f" {known['load_before']:.1f}."
        )
        lines.append(f"\nCommand: `{known['command']}`; {len(results.rounds)} rounds.")
    if results.rounds:
        some = next(iter(results.rounds[-1].values()), None)
        if some:
            used = some["args"]
            lines.append(
                f"fsbench: a file of {used['size_mib']} MiB, {used['files']} small files (hp and kpass"
                f" perhaps 4000), a tree of {used['tree_files']}."
            )
    lines.append("")
    for line in results.left_out:
        lines.append(f"{line}.")
    for column in results.columns:
        for metric, why in results.errors(column).items():
            lines.append(f"{column}: {metric} failed: {' '.join(why.split())[:80]}.")
    return lines


def changes(results, path):
    """Figures that are further from those in `path` than noise explains."""
    before = load(path)["medians"]
    lines = []
    for column in results.columns:
        for metric in results.metrics:
            old = before.get(column, {}).get(metric)
            new = results.median(column, metric)
            if old and new and not 1 / NOISE <= new / old <= NOISE:
                lines.append(
                    f"{column}: {metric}: {number(old)} → {number(new)} ({new / old:.2f} ×)"
                )
    return lines


def write(path, text):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", nargs="?")
    parser.add_argument("--write-docs", action="store_true", help="also docs/performance.*")
    parser.add_argument("--against", metavar="FILE", help="say what changed since that report.json")
    parser.add_argument("--note", default="", help="what a reader must know about this run")
    parser.add_argument("--conditions", metavar="DIR")
    parser.add_argument("--command", default="")
    given = parser.parse_args()
    if given.conditions:
        path = f"{given.conditions}/conditions.json"
        if not os.path.exists(path):
            write(path, json.dumps(conditions(given.conditions, given.command), indent=1) + "\n")
        return 0
    if not given.directory or not os.path.isdir(given.directory):
        parser.error("no such folder")
    results = Results(given.directory)
    rows = targets.judge(results)
    aims = [row["met"] for row in rows if row["target"]]
    judged = [met for met in aims if met is not None]
    summary = f"{sum(judged)} of {len(judged)} targets met, {len(aims) - len(judged)} not measured."
    drawn = drawing(results)
    short = [given.note, ""] if given.note else []
    short += ["\n".join(told(results)), "", summary, "", verdicts(rows)]
    if drawn:
        short += ["", "![Speed of each, with ext4 as 1](performance.svg)"]
    short += ["", figures(results), "", figures(results, "daemon_cpu_per_gib")]
    short += stages(results)
    full = short + ["", ratios(results, "ext4"), "", ratios(results, "hp"), ""]
    full += [ratios(results, "kpass"), "", ratios(results, "peer", "ratio to the best peer")]
    medians = {
        column: {metric: results.median(column, metric) for metric in results.metrics}
        for column in results.columns
    }
    record = {"conditions": results.conditions, "targets": rows, "medians": medians}
    record["stages"] = results.stages
    record = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    write(f"{given.directory}/report.json", record)
    write(f"{given.directory}/report.md", "\n".join(full).replace("performance.svg", "chart.svg") + "\n")
    if drawn:
        write(f"{given.directory}/chart.svg", drawn)
    if given.write_docs:
        page = f"{ROOT}/docs/performance.md"
        with open(page) as file:
            text = file.read()
        before, rest = text.split(BEGIN, 1)
        after = rest.split(END, 1)[1]
        write(page, before + BEGIN + "\n\n" + "\n".join(short) + "\n\n" + END + after)
        write(f"{ROOT}/docs/performance.json", record)
        if drawn:
            write(f"{ROOT}/docs/performance.svg", drawn)
    print("\n".join(full))
    if given.against:
        print("\n".join(["", f"Changed since {given.against}:", *changes(results, given.against)]))
    print(f"\n{given.directory}/report.md, report.json, chart.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
