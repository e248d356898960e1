"""A page is made."""

from tcsm.reporting import notes, page

READS = ("out", "runs")


def main(cfg, out):
    """Write it down."""
    for folder in ("figures", "tables"):
        (out / folder).mkdir(parents=True)
    page.write(out / "index.html", cfg.runs)
    notes.write(out / "metrics.json", cfg)
