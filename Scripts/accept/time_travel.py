#!/usr/bin/env python3
"""Changes a volume by seed, and compares its snapshots with what was there when they were made.

    time_travel.py begin   MODEL SEED
    time_travel.py round   MODEL MOUNT NUMBER   some changes; may be cut off by the mount's death
    time_travel.py settle  MODEL MOUNT          asks the volume which snapshots there are
    time_travel.py compare MODEL MOUNT          every snapshot against its note
    time_travel.py count   MODEL
    time_travel.py forget  MODEL MOUNT          deletes all snapshots
    time_travel.py space   MOUNT WORK           what providers hold against what is alive
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import time

FILES = 60
SIZES = [0, 100, 5000, 70_000, 400_000, 3_000_000]


def mefs(*arguments, check=True):
    done = subprocess.run(["mefs", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"mefs {' '.join(arguments)}: {done.stderr.strip()}")
    return done


def listed(mount):
    return json.loads(mefs("snapshot", "list", mount, "--json").stdout)["snapshots"]


def tree(top):
    """Path to kind, size and digest of everything below."""
    def refuse(error):
        raise error

    found = {}
    for folder, folders, files in os.walk(top, onerror=refuse):
        if ".mefs" in folders:
            folders.remove(".mefs")
        for name in folders:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = ["directory", oct(os.lstat(path).st_mode)]
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found[os.path.relpath(path, top)] = ["link", os.readlink(path)]
                continue
            digest = hashlib.sha256()
            with open(path, "rb") as file:
                while part := file.read(1 << 20):
                    digest.update(part)
            about = os.stat(path)
            found[os.path.relpath(path, top)] = [
                "file", oct(about.st_mode), about.st_size, about.st_mtime_ns, digest.hexdigest()]
    return found


def path_of(model, name):
    return os.path.join(model, name + ".json")


def note(model, name, value):
    temporary = path_of(model, name) + ".new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.rename(temporary, path_of(model, name))


def change(mount, dice):
    name = f"{mount}/d{dice.randrange(4)}/f{dice.randrange(FILES)}"
    os.makedirs(os.path.dirname(name), exist_ok=True)
    kind = dice.choice(["write", "write", "over", "append", "remove", "rename", "link", "cut", "mode"])
    if kind == "write":
        with open(name, "wb") as file:
            file.write(dice.randbytes(dice.choice(SIZES)))
    elif not os.path.lexists(name):
        return
    elif kind == "remove":
        os.unlink(name)
    elif kind == "rename":
        os.rename(name, f"{mount}/d{dice.randrange(4)}/f{dice.randrange(FILES)}")
    elif kind == "link":
        other = f"{mount}/l{dice.randrange(20)}"
        if not os.path.lexists(other):
            os.symlink(os.path.relpath(name, mount), other)
    elif os.path.islink(name):
        return
    elif kind == "over":
        with open(name, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(dice.randrange(size + 1))
            file.write(dice.randbytes(dice.choice(SIZES[:5])))
    elif kind == "append":
        with open(name, "ab") as file:
            file.write(dice.randbytes(dice.choice(SIZES[:4])))
    elif kind == "cut":
        os.truncate(name, dice.randrange(os.stat(name).st_size + 1))
    else:
        os.chmod(name, dice.choice([0o600, 0o644, 0o755]))


def round_(model, mount, number):
    with open(path_of(model, "seed"), encoding="utf-8") as file:
        seed = json.load(file)
    dice = random.Random(seed * 1_000_003 + number)
    for folder in range(4):
        os.makedirs(f"{mount}/d{folder}", exist_ok=True)
    for _ in range(dice.randrange(5, 60)):
        change(mount, dice)
    action = dice.choice(["snapshot", "snapshot", "snapshot", "delete", "gc", "drop", "none"])
    if action == "snapshot":
        # Noted before and made after: whoever finds it finds what was there.
        name = f"s{number}"
        note(model, name, tree(mount))
        mefs("snapshot", "create", mount, "--name", name)
    elif action == "delete":
        kept = [each["name"] for each in listed(mount) if each["name"]]
        if len(kept) > 3:
            mefs("snapshot", "delete", mount, dice.choice(kept))
    elif action == "gc":
        mefs("gc", mount)
    elif action == "drop":
        mefs("sync", mount)
        mefs("cache", "drop", mount)


def noted(model):
    return {name[:-5] for name in os.listdir(model) if name.startswith("s") and name != "seed.json"
            and name.endswith(".json")}


def settle(model, mount):
    """What is not there was never made, or was deleted: both answered only to who was killed."""
    kept = {each["name"] for each in listed(mount)}
    for name in noted(model) - kept:
        os.unlink(path_of(model, name))
    # A machine that was lost right after a deletion had not told the network.
    for each in listed(mount):
        if each["name"] and each["name"] not in noted(model):
            mefs("snapshot", "delete", mount, each["name"])


def compare(model, mount):
    kept = {each["name"]: each for each in listed(mount)}
    wrong = 0
    for name in sorted(noted(model)):
        if name not in kept:
            print(f"snapshot {name} is gone")
            wrong += 1
            continue
        with open(path_of(model, name), encoding="utf-8") as file:
            expected = json.load(file)
        found = tree(f"{mount}/.mefs/snapshots/{kept[name]['directory']}")
        if found != expected:
            wrong += 1
            for path in sorted(set(found) | set(expected)):
                if found.get(path) != expected.get(path):
                    print(f"{name}: {path}: {found.get(path)}, was {expected.get(path)}")
                    break
    return wrong


def forget(model, mount):
    for each in listed(mount):
        mefs("snapshot", "delete", mount, str(each["version"]))
    for name in noted(model):
        os.unlink(path_of(model, name))


def space(mount, work):
    """Providers' own count of the bytes of shards, once they had time to delete."""
    live = json.loads(mefs("gc", "--dry-run", "--json", mount).stdout)["liveBytes"]
    for _ in range(60):
        held = sum(each["usedBytes"] for each in json.loads(
            mefs("network", "show", f"{work}/net.json", "--live", "--json").stdout)["providers"])
        bound = live * 6 / 4 * 1.1
        if held <= bound:
            break
        time.sleep(1)
    print(f"live {live} bytes, held {held}, {held / (live * 6 / 4):.3f} x live x n/k")
    return 0 if held <= bound else 1


def main():
    verb, arguments = sys.argv[1], sys.argv[2:]
    if verb == "begin":
        note(arguments[0], "seed", int(arguments[1]))
    elif verb == "round":
        round_(arguments[0], arguments[1], int(arguments[2]))
    elif verb == "count":
        print(len(noted(arguments[0])))
    else:
        return {"settle": settle, "compare": compare, "forget": forget, "space": space}[verb](*arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
