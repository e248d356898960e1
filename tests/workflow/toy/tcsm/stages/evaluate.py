"""A number is read."""

from tcsm.evaluation import bound
from tcsm.reporting import notes

READS = ("experiment", "seed", "out", "data", "evaluation")


def main(cfg, out):
    """Write it down."""
    print(f"evaluating {cfg.experiment} seed {cfg.seed}")
    bound.value(cfg.evaluation.draws)
    for name in ("evaluate.json", "evaluate.telemetry.json"):
        notes.write(out / name, cfg)
