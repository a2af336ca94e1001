"""What one output folder of `Scripts/bench` holds: rounds of fsbench, and other measurements."""

import glob
import json
import os
import statistics

# What a peer does about safety; others count as neither.
ERASURE_CODING = {"gluster", "ceph"}
ENCRYPTING = {"juicefs", "seaweedfs", "rclone", "s3ql"}
OWN = ["ext4", "hp", "kpass", "mefs", "mefs-off"]
# fsbench's phases that only tidy up.
NO_FIGURES = {"idle", "verify_after_rand", "rm_rf_small", "rm_rf_all", "setup", "fill"}


def load(path):
    with open(path) as file:
        return json.load(file)


class Results:
    """Rounds by number, each a dictionary of fsbench's results by column."""

    def __init__(self, directory):
        self.directory = directory
        self.rounds = []
        for folder in sorted(glob.glob(f"{directory}/round-*"), key=lambda p: int(p.rsplit("-")[-1])):
            files = sorted(glob.glob(f"{folder}/*.json"))
            columns = {os.path.basename(path)[:-5]: load(path) for path in files}
            for name, result in columns.items():
                self._add_drained(name, result)
            self.rounds.append(columns)
        names = {name for each in self.rounds for name in each}
        self.columns = [name for name in OWN if name in names] + sorted(names - set(OWN))
        self.peers = [name for name in self.columns if name not in OWN]
        path = f"{directory}/conditions.json"
        self.conditions = load(path) if os.path.exists(path) else {}
        self.others = [load(path) for path in sorted(glob.glob(f"{directory}/*.rows.json"))]
        path = f"{directory}/stages.json"
        self.stages = load(path)["stages"] if os.path.exists(path) else []
        path = f"{directory}/left-out.txt"
        self.left_out = sorted(set(open(path).read().splitlines())) if os.path.exists(path) else []

    @staticmethod
    def _add_drained(name, result):
        """A peer that has nothing to drain has its data at its servers when fsync returns."""
        metrics = result["metrics"]
        if name in OWN or result["args"].get("drain_cmd"):
            return
        if "seq_write_fsync" in metrics and "seq_write_drained" not in metrics:
            metrics["seq_write_drained"] = metrics["seq_write_fsync"]

    @property
    def metrics(self):
        """All figures' names, in fsbench's order."""
        names = []
        for columns in self.rounds:
            for result in columns.values():
                names += [name for name in result["metrics"] if name not in names]
        return [name for name in names if name not in NO_FIGURES]

    def samples(self, column, metric, field="value"):
        """One figure a round; None where it is missing."""
        return [
            columns.get(column, {}).get("metrics", {}).get(metric, {}).get(field)
            for columns in self.rounds
        ]

    def median(self, column, metric, field="value"):
        known = [value for value in self.samples(column, metric, field) if value is not None]
        return statistics.median(known) if known else None

    def ratio(self, column, reference, metric, field="value"):
        """The median of the rounds' ratios; where no round has both, the ratio of the medians."""
        pairs = zip(self.samples(column, metric, field), self.samples(reference, metric, field))
        ratios = [a / b for a, b in pairs if a is not None and b]
        if ratios:
            return statistics.median(ratios)
        above, below = self.median(column, metric, field), self.median(reference, metric, field)
        return above / below if above is not None and below else None

    def unit(self, metric):
        for columns in self.rounds:
            for result in columns.values():
                if metric in result["metrics"]:
                    return result["metrics"][metric]["unit"]
        return ""

    def best(self, kind, metric, field="value"):
        """The best peer of a kind: "ec", "encrypting" or "peer" for either; its column's name."""
        wanted = {"ec": ERASURE_CODING, "encrypting": ENCRYPTING}.get(
            kind, ERASURE_CODING | ENCRYPTING
        )
        known = [
            (self.median(name, metric, field), name)
            for name in self.peers
            if name.split("-")[0] in wanted and self.median(name, metric, field) is not None
        ]
        choose = max if field == "value" else min
        return choose(known)[1] if known else None

    def errors(self, column):
        """What failed in a column, by metric."""
        found = {}
        for columns in self.rounds:
            for metric, texts in columns.get(column, {}).get("errors", {}).items():
                found.setdefault(metric, texts[0] if texts else "")
        return found
