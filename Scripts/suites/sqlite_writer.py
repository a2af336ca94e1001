#!/usr/bin/env python3
"""Commits transactions to a database and notes them; verifies the database after a crash.

    sqlite_writer.py write  DATABASE MODE NOTES    until it is killed or the mount goes away
    sqlite_writer.py verify DATABASE MODE NOTES    exit 1 if anything is missing, half or damaged
"""

import os
import random
import sqlite3
import sys


def connect(path, mode):
    database = sqlite3.connect(path, isolation_level=None, timeout=30)
    database.execute(f"PRAGMA journal_mode={mode}")
    # With FULL, SQLite does not sync the removal of the journal that commits in mode DELETE.
    database.execute(f"PRAGMA synchronous={'EXTRA' if mode == 'DELETE' else 'FULL'}")
    database.execute("PRAGMA cache_size=-256")
    database.execute("CREATE TABLE IF NOT EXISTS item(id INTEGER PRIMARY KEY, part INTEGER, body BLOB)")
    database.execute("CREATE TABLE IF NOT EXISTS total(id INTEGER PRIMARY KEY, count INTEGER)")
    database.execute("INSERT OR IGNORE INTO total VALUES (1, 0)")
    return database


def write(path, mode, notes):
    database = connect(path, mode)
    number = database.execute("SELECT count FROM total").fetchone()[0]
    with open(notes, "a", encoding="ascii") as log:
        while True:
            number += 1
            database.execute("BEGIN IMMEDIATE")
            for part in range(3):
                body = random.randbytes(random.choice([20, 300, 6000]))
                database.execute("INSERT INTO item VALUES (?, ?, ?)", (number * 3 + part, part, body))
            if number % 10 == 0:
                database.execute("UPDATE item SET body = zeroblob(length(body)) WHERE id % 97 = ?",
                                 (number % 97,))
            database.execute("UPDATE total SET count = ?", (number,))
            database.execute("COMMIT")
            # After removing the journal, SQLite takes a directory that it cannot open for one that it
            # synced (unixDelete in os_unix.c): a mount that died in between acknowledges nothing.
            os.close(os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY))
            log.write(f"{number}\n")
            log.flush()


def verify(path, mode, notes):
    with open(notes, encoding="ascii") as log:
        noted = {int(line) for line in log}
    database = connect(path, mode)
    state = database.execute("PRAGMA integrity_check").fetchone()[0]
    if state != "ok":
        return f"integrity_check: {state}"
    there = dict(database.execute("SELECT id / 3, count(*) FROM item GROUP BY id / 3"))
    lost = sorted(noted - set(there))
    if lost:
        return f"{len(lost)} acknowledged transactions are lost, such as {lost[:5]}"
    half = [number for number, parts in there.items() if parts != 3]
    if half:
        return f"half a transaction: {half[:5]}"
    total = database.execute("SELECT count FROM total").fetchone()[0]
    if total != len(there):
        return f"the total says {total}, there are {len(there)}"
    print(f"{len(noted)} acknowledged, {len(there)} there, integrity_check ok")
    return None


def main():
    verb, path, mode, notes = sys.argv[1:5]
    if verb == "write":
        write(path, mode, notes)
    wrong = verify(path, mode, notes)
    if wrong:
        print(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
