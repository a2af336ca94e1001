"""Judges what one measurement found and keeps it: remember.py NAME FILE, JSON lines on input.

A line is {"work", "figure", "unit", and "value" with "most" or "least", or "of" and "to" with
"least": lists of the rounds' figures, whose ratios' median is judged}. Without a limit it is only
kept.
"""

import json
import os
import statistics
import sys
import time


def judge(line):
    row = {"work": line["work"], "figure": line["figure"], "unit": line.get("unit", "")}
    limit = line.get("most", line.get("least"))
    if "of" in line:
        ratio = statistics.median(a / b for a, b in zip(line["of"], line["to"]))
        row |= {"value": statistics.median(line["of"]), "ratio": ratio}
        row |= {"reference_value": statistics.median(line["to"])}
        judged, what = ratio, f" × {line['reference']}"
    else:
        row["value"] = judged = line["value"]
        what = f" {row['unit']}"
    if limit is None:
        row |= {"target": "", "met": None}
    else:
        row["target"] = f"{'≤' if 'most' in line else '≥'} {limit:g}{what}"
        row["met"] = judged <= limit if "most" in line else judged >= limit
    return row | {"detail": line.get("detail", "")}


def main(name, path):
    lines = [json.loads(text) for text in sys.stdin if text.strip()]
    if not lines:
        sys.exit(f"{name} found nothing")
    record = {"name": name, "date": time.strftime("%FT%TZ", time.gmtime()), "found": lines}
    record["rows"] = [judge(line) for line in lines]
    with open(path + ".new", "w") as file:
        json.dump(record, file, indent=1, ensure_ascii=False)
    os.rename(path + ".new", path)
    words = {True: "met", False: "MISSED", None: ""}
    for row in record["rows"]:
        ratio = f"  ratio {row['ratio']:.2f}" if "ratio" in row else ""
        print(
            f"{row['work']:28} {row['figure']:34} {row['value']:>12,.2f} {row['unit']:8}{ratio}"
            f"  {row['target']}  {words[row['met']]}  {row['detail']}".rstrip()
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
