"""Snakemake's own report shows what the workflow marks for it."""

import pytest

pytestmark = pytest.mark.slow


def test_it_has_the_page_its_numbers_and_its_figures(house):
    (house.folder / "reports/figures/own.svg").write_text("<svg/>")
    done = house.snakemake("--report", "made.html")
    assert done.returncode == 0, done.stderr
    page = (house.folder / "made.html").read_text("utf-8")
    for name in ("index.html", "metrics.json", "own.svg"):
        assert name in page
