"""Text is drawn."""

from tcsm.reporting import notes

READS = ("experiment", "seed", "out", "judge", "sampling")


def main(cfg, out):
    """Write it down."""
    for name in ("samples.json", "sample.telemetry.json"):
        notes.write(out / name, cfg)
