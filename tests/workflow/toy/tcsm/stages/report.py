"""A page is made."""

from tcsm.reporting import page

READS = ("out", "runs")


def main(cfg, out):
    """Write it down."""
    out.mkdir(parents=True, exist_ok=True)
    page.write(out / "index.html", cfg.runs)
