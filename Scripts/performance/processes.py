"""What processes use: memory, processor time, wake-ups.

processes.py peak STOP NAME=PID,PID…     until the file STOP appears; then each name's peak
processes.py window SECONDS NAME=PID,…   over so many seconds
processes.py now NAME=PID,…              resident memory now

Prints JSON. Memory is resident, in MiB, of the largest of the processes that share a name; processor
time is of all of a name's processes together, the wake-ups are of the one that wakes most.
"""

import glob
import json
import os
import sys
import time


def status(pid, task=None):
    path = f"/proc/{pid}/status" if task is None else f"/proc/{pid}/task/{task}/status"
    with open(path) as file:
        return dict(line.split(":", 1) for line in file)


def resident(pid):
    return int(status(pid)["VmRSS"].split()[0]) / 1024


def used(pid):
    """Seconds on a processor, to the nanosecond, and times a thread gave it up: by thread."""
    threads = {}
    for folder in glob.glob(f"/proc/{pid}/task/*"):
        task = os.path.basename(folder)
        try:
            with open(f"{folder}/schedstat") as file:
                seconds = int(file.read().split()[0]) / 1e9
            with open(f"{folder}/comm") as file:
                name = file.read().strip()
            wakes = int(status(pid, task)["voluntary_ctxt_switches"])
        except (FileNotFoundError, ProcessLookupError):
            continue
        threads[task] = (seconds, wakes, name)
    return threads


def peak(stop, groups):
    highest = {name: 0.0 for name in groups}
    while not os.path.exists(stop):
        for name, pids in groups.items():
            highest[name] = max([highest[name], *map(resident, pids)])
        time.sleep(0.1)
    return highest


def window(seconds, groups):
    before = {pid: used(pid) for pids in groups.values() for pid in pids}
    begun = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begun
    found = {}
    for name, pids in groups.items():
        processor, rates, busiest = 0.0, [], (0.0, "")
        for pid in pids:
            wakes = 0
            for task, (spent, woken, thread) in used(pid).items():
                earlier = before[pid].get(task, (0, 0, ""))
                processor += spent - earlier[0]
                wakes += woken - earlier[1]
                busiest = max(busiest, ((woken - earlier[1]) / passed, thread))
            rates.append(wakes / passed)
        found[name] = {
            "mib": max(map(resident, pids)),
            "percent": 100 * processor / passed,
            "wakes_per_second": max(rates),
            "busiest_thread": f"{busiest[1]}: {busiest[0]:.2f}/s",
        }
    return found


def main(what, *rest):
    first = () if what == "now" else (rest[0],)
    groups = {}
    for word in rest[len(first) :]:
        name, pids = word.split("=")
        groups[name] = [int(pid) for pid in pids.split(",")]
    if what == "peak":
        found = peak(first[0], groups)
    elif what == "window":
        found = window(float(first[0]), groups)
    else:
        found = {name: max(map(resident, pids)) for name, pids in groups.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
