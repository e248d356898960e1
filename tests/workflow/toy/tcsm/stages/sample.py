"""Text is drawn."""

from tcsm.reporting import records

READS = ("experiment", "seed", "out", "judge", "sampling")


def main(cfg, out):
    """Write it down."""
    for name in ("samples.json", "sample.telemetry.json"):
        records.write(out / name, cfg)
