"""Samples are graded."""

from tcsm.reporting import notes

READS = ("experiment", "seed", "out")


def main(cfg, out):
    """Write it down."""
    print(f"grading {cfg.experiment} seed {cfg.seed}")
    for name in ("grade.json", "grade.telemetry.json"):
        notes.write(out / name, cfg)
