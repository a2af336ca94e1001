"""The targets of the comparison, and whether they were met."""

from dataclasses import dataclass


@dataclass
class Target:
    """What a figure is to be: `factor` times that of `reference`, at least or, of a cost, at most."""

    reference: str
    factor: float


# Kind of work, fsbench's figures, what they are to be.
RATES = [
    (
        "warm reads",
        ["seq_read_warm", "mmap_read_warm", "rand_read_4k_warm_qd1", "rand_read_4k_warm_8j"],
        [Target("kpass", 0.9), Target("ext4", 0.8)],
    ),
    ("sequential writes", ["seq_write_nosync", "seq_write_fsync"], [Target("kpass", 1)]),
    ("4 KiB write + fsync", ["sync_write_4k"], [Target("kpass", 1)]),
    (
        "namespace",
        ["create_empty", "create_4k", "rename", "unlink", "mkdir_tree"],
        [Target("hp", 2)],
    ),
    ("looking", ["stat_cold", "ls_lR_warm", "grep_r_warm"], [Target("hp", 2)]),
    (
        "programs",
        ["untar", "cp_r", "rm_rf", "git_add", "git_commit", "git_clone"],
        [Target("hp", 2)],
    ),
    ("SQLite, FULL", ["sqlite_wal", "sqlite_delete"], [Target("kpass", 1)]),
    (
        "write, placed on six providers",
        ["seq_write_drained"],
        [Target("encrypting", 2), Target("ec", 1.3)],
    ),
    ("cold sequential read", ["seq_read_cold"], [Target("peer", 1.5)]),
    ("cold random 4 KiB read", ["rand_read_4k_cold_8j"], [Target("ec", 2)]),
    ("cold small files", ["read_4k_files_cold", "grep_r_cold"], [Target("ec", 3)]),
]
COSTS = [
    ("daemons' CPU, placed write", ["seq_write_drained"], [Target("peer", 0.5)]),
    ("daemons' CPU, cold read", ["seq_read_cold"], [Target("peer", 0.5)]),
]
KINDS = {"ec": "best erasure-coding peer", "encrypting": "best encrypting peer", "peer": "best peer"}


def judge(results):
    """One dictionary for each figure and target: work, figure, target, ratio, verdict."""
    rows = []
    for table, field in ((RATES, "value"), (COSTS, "daemon_cpu_per_gib")):
        for work, metrics, targets in table:
            for metric in metrics:
                rows += [judge_one(results, work, metric, target, field) for target in targets]
    for other in results.others:
        rows += other["rows"]
    return rows


def judge_one(results, work, metric, target, field):
    reference = target.reference
    if reference in KINDS:
        reference = results.best(reference, metric, field)
    ratio = results.ratio("mefs", reference, metric, field) if reference else None
    is_cost = field != "value"
    if ratio is None:
        met = None
    else:
        met = ratio <= target.factor if is_cost else ratio >= target.factor
    name = KINDS.get(target.reference, target.reference)
    return {
        "work": work,
        "figure": metric,
        "unit": "CPU s/GiB" if is_cost else results.unit(metric),
        "value": results.median("mefs", metric, field),
        "off": results.median("mefs-off", metric, field),
        "reference": name + (f" ({reference})" if reference and target.reference in KINDS else ""),
        "reference_value": results.median(reference, metric, field) if reference else None,
        "target": f"{'≤' if is_cost else '≥'} {target.factor:g} × {name}",
        "ratio": ratio,
        "ratio_off": results.ratio("mefs-off", reference, metric, field) if reference else None,
        "met": met,
    }
