"""The runs of every experiment become one page."""

import pytest

from tests.stages.house import EXPERIMENTS


@pytest.fixture(scope="module")
def page(house, trained):
    folders = ",".join(str(trained(experiment)) for experiment in EXPERIMENTS)
    return house.good("report", f"runs=[{folders}]", name="report")


def test_the_page_is_whole(page, house):
    text = (page / "index.html").read_text()
    assert text.rstrip().endswith("</html>")
    assert "TCSM on the King James Version" in text
    assert not house.unfinished()


def test_figures_and_tables_lie_beside_it(page):
    for folder, kinds in {"figures": {".svg", ".pdf"}, "tables": {".csv", ".tex"}}.items():
        found = {path.suffix for path in (page / folder).iterdir()}
        assert found == kinds


def test_every_arm_with_a_label_is_in_the_table(page):
    table = (page / "tables/headline.csv").read_text()
    for label in ("Autoregressive", "MDLM", "TCSM distribution", "TCSM score"):
        assert label in table


def test_a_run_that_was_only_trained_is_reported(house):
    folder = house.good("train", "experiment=kjv/mdlm", "seed=5", name="only-trained")
    out = house.good("report", f"runs=[{folder}]", name="short-report")
    assert (out / "index.html").is_file()
