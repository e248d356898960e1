"""A page is made."""

from tcsm.reporting import notes, page

READS = ("out", "runs")


def main(cfg, out):
    """Write it down."""
    for folder in ("figures", "tables"):
        (out / folder).mkdir(parents=True)
    page.write(out / "index.html", cfg.runs)
    for name in ("metrics.json", "results.json", "references.bib"):
        notes.write(out / name, cfg)
