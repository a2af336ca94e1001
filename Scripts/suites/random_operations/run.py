#!/usr/bin/env python3
"""Performs random operations in a mount and in a directory of ext4, and compares all that is seen.

    run.py MOUNT REFERENCE SEED COUNT [--plain] [--without KIND,...] [--volume NAME --options OPTIONS]

With --plain the mount is any directory: nothing is dropped, remounted or killed.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import tree
from side import Side
from steps import Steps

COMPARE_EVERY = 250
CLOCK_REALTIME_COARSE = 5
REPLAYS_MAX = 2000
REPLAY_SECONDS_MAX = 60


class Difference(Exception):
    """What is not the same on both sides."""


class Mount:
    """What can be done to the mount itself."""

    def __init__(self, path, volume, options):
        self.path, self.volume, self.options = path, volume, options

    def pid(self):
        told = subprocess.run(["mefs", "status", self.path, "--json"], check=True, capture_output=True)
        return json.loads(told.stdout)["pid"]

    def drop(self):
        for words in (["mefs", "sync", self.path], ["mefs", "cache", "drop", self.path]):
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def remount(self):
        pid = self.pid()
        subprocess.run(["umount", self.path], check=True)
        self.mount_again(pid)

    def crash(self):
        """SIGKILL after all was synced: nothing may be missing."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)
        subprocess.run(["umount", "-l", self.path], check=True)
        self.mount_again(pid)

    def wait(self, pid):
        end = time.monotonic() + 120
        while os.path.exists(f"/proc/{pid}"):
            if time.monotonic() > end:
                raise Difference(f"the mount process {pid} does not end")
            time.sleep(0.05)

    def mount_again(self, pid):
        self.wait(pid)
        words = ["mount.mefs", self.volume, self.path]
        words += ["-o", self.options] if self.options else []
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


class Comparison:
    """The two sides and what was done to them."""

    def __init__(self, ours, theirs, mount):
        self.ours, self.theirs, self.mount = Side(ours), Side(theirs), mount
        self.log = []
        # Inodes of the reference that were written through a mapping: the time of that is open.
        self.mapped = set()

    def step(self, step):
        self.log.append(step)
        if step["do"] in ("drop", "remount", "crash", "compare"):
            self.event(step["do"])
            return None
        self.wait_for_tick()
        if step["do"] == "mapped_write":
            self.mapped.add(self.theirs.status(step["slots"][0]).st_ino)
        mine, reference = self.ours.perform(step), self.theirs.perform(step)
        if json.dumps(mine) != json.dumps(reference):
            raise Difference(f"in the mount   {show(mine)}\nin the reference {show(reference)}")
        return mine[0]

    @staticmethod
    def wait_for_tick():
        """The kernel's clock of a file's times ticks coarsely; each step gets a tick of its own."""
        now = time.clock_gettime_ns(time.CLOCK_REALTIME)
        while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) < now:
            time.sleep(0.0003)

    def event(self, what):
        if what != "compare" and self.mount:
            numbers = {path: status.st_ino for path, status in tree.walk(os.fsencode(self.ours.root)).items()}
            if what == "drop":
                self.mount.drop()
            else:
                if what == "crash":
                    self.ours.do_sync_all()
                self.ours.leave()
                self.theirs.leave()
                getattr(self.mount, what)()
                self.ours.enter()
                self.theirs.enter()
            after = {path: status.st_ino for path, status in tree.walk(os.fsencode(self.ours.root)).items()}
            if numbers != after:
                raise Difference(f"after {what} inode numbers or names are others")
        wrong = tree.compare(self.ours.root, self.theirs.root, self.mapped)
        if wrong:
            raise Difference(f"trees differ after {what}:\n" + "\n".join(wrong[:12]))

    def close(self):
        for side in (self.ours, self.theirs):
            side.leave()


def show(result):
    text = json.dumps(result)
    return text if len(text) < 2000 else text[:2000] + " …"


def fresh(parents, name):
    """A new empty directory on both sides, open to all users."""
    folders = []
    for parent in parents:
        # One more directory between, for steps that go to "..".
        folder = os.path.join(parent, name, "top")
        os.makedirs(folder)
        os.chmod(folder, 0o777)
        folders.append(folder)
    return folders


def explore(arguments, mount, folders):
    """Draws and performs steps; raises Difference, with the comparison's log as the story."""
    comparison = Comparison(*folders, mount)
    steps = Steps(arguments.seed, arguments.without.split(","))
    begun = time.monotonic()
    counts = {}
    try:
        for number in range(1, arguments.count + 1):
            step = event(steps, number, mount) or steps.draw()
            result = comparison.step(step)
            counts[step["do"]] = counts.get(step["do"], 0) + 1
            if step["do"] in ("remount", "crash"):
                steps.slots = {}
            steps.slots = comparison.theirs.slots
            steps.known = tree.walk(os.fsencode(comparison.theirs.root))
            steps.known[b"."] = None
        comparison.step({"do": "compare"})
    except Difference as difference:
        return comparison.log, difference
    finally:
        comparison.close()
    seconds = time.monotonic() - begun
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    print(f"seed {arguments.seed}: {arguments.count} steps the same in {seconds:.0f} s", flush=True)
    if arguments.verbose:
        print(kinds)
    return None, None


def event(steps, number, mount):
    if mount and steps.random.random() < 0.006:
        return {"do": steps.random.choice(["drop", "drop", "drop", "drop", "remount", "crash"])}
    return {"do": "compare"} if number % COMPARE_EVERY == 0 else None


def replay(log, parents, mount, name):
    """Whether the same steps in new directories end in a difference too, and in which."""
    folders = fresh(parents, name)
    comparison = Comparison(*folders, mount)
    try:
        for step in log:
            slots = step.get("slots", [])
            if step["do"] != "open" and any(slot not in comparison.theirs.slots for slot in slots):
                continue
            if step["do"] == "open" and slots[0] in comparison.theirs.slots:
                continue
            comparison.step(step)
    except Difference as difference:
        return comparison.log, difference
    except (OSError, KeyError):
        return None, None
    finally:
        try:
            comparison.close()
        except (OSError, KeyError):
            pass
        for folder in folders:
            shutil.rmtree(os.path.dirname(folder), ignore_errors=True)
    return None, None


def shorten(log, difference, parents, mount):
    """A story as short as a bounded number of replays finds: pieces are left out while it differs."""
    end = time.monotonic() + REPLAY_SECONDS_MAX
    last, replays, piece = log[-1]["do"], 0, max(1, len(log) // 2)
    while time.monotonic() < end and replays < REPLAYS_MAX:
        at, progress = 0, False
        while at < len(log) and time.monotonic() < end:
            shorter = log[:at] + log[at + piece:]
            replays += 1
            story, other = replay(shorter, parents, mount, f"replay-{replays}")
            if story and story[-1]["do"] == last:
                log, difference, progress = story, other, True
            else:
                at += piece
        if piece == 1 and not progress:
            break
        piece = max(1, piece // 2)
    return log, difference


def main():
    parser = argparse.ArgumentParser()
    for name in ("mount", "reference"):
        parser.add_argument(name)
    for name in ("seed", "count"):
        parser.add_argument(name, type=int)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--without", default="")
    parser.add_argument("--volume")
    parser.add_argument("--options", default="")
    arguments = parser.parse_args()
    mount = None if arguments.plain else Mount(arguments.mount, arguments.volume, arguments.options)
    parents = [arguments.mount, arguments.reference]
    folders = fresh(parents, f"seed-{arguments.seed}")
    log, difference = explore(arguments, mount, folders)
    if difference is None:
        for folder in folders:
            shutil.rmtree(os.path.dirname(folder))
        return 0
    print(f"seed {arguments.seed}, step {len(log)}: {difference}\n{json.dumps(log[-1])}", flush=True)
    os.chdir("/")
    log, difference = shorten(log, difference, parents, mount)
    print(f"the same with {len(log)} steps:")
    for step in log[-30:]:
        print("  " + json.dumps(step))
    print(difference)
    return 1


if __name__ == "__main__":
    sys.exit(main())
