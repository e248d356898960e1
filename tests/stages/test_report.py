"""The runs of every experiment become one page."""

import hashlib
import subprocess

import pandas as pd
import pytest
from safetensors.torch import load_file

from tcsm.training.checkpoint import digest
from tests.stages.house import EXPERIMENTS, PARAMS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(file_house, finished):
    folders = ",".join(str(finished(experiment)) for experiment in EXPERIMENTS)
    return file_house.good("report", f"runs=[{folders}]", name="report")


def test_the_page_is_whole(page, file_house):
    text = (page / "index.html").read_text()
    assert text.rstrip().endswith("</html>")
    assert "TCSM on text.txt" in text
    assert not file_house.unfinished()


def test_figures_and_tables_lie_beside_it(page):
    wanted = {"figures": {".svg", ".pdf", ".png", ".csv"}, "tables": {".csv", ".tex", ".pdf"}}
    for folder, kinds in wanted.items():
        actual = {path.suffix for path in (page / folder).iterdir()}
        assert actual == kinds


def test_every_arm_with_a_label_is_in_the_table(page):
    table = (page / "tables/headline.csv").read_text()
    for label in ("Autoregressive", "MDLM", "TCSM distribution", "TCSM score"):
        assert label in table


def test_a_run_that_was_only_trained_is_reported(house):
    folder = house.good("train", "experiment=kjv/mdlm", "seed=5", name="only-trained")
    out = house.good("report", f"runs=[{folder}]", name="short-report")
    assert (out / "index.html").is_file()


def test_the_page_names_the_bytes_and_the_commit_of_each_stage(house, tmp_path, monkeypatch):
    """Data and weights by their checksums, and not the commit at which the page is made."""

    def commit():
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        for words in (("init",), (*who, "commit", "--allow-empty", "--message", "one more")):
            subprocess.run(["git", *words, "--quiet"], check=True)
        head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True)
        return head.stdout.decode().strip()

    (tmp_path / "reports").symlink_to(PARAMS.parent / "reports")
    monkeypatch.chdir(tmp_path)
    made = {}
    for stage in ("train", "evaluate"):
        made[stage] = commit()
        run = house.good(stage, "experiment=kjv/mdlm", name="followed")
    last = commit()
    page = house.good("report", f"runs=[{run}]", name="followed-page")
    table = pd.read_csv(page / "tables/provenance.csv").iloc[0]
    assert [name.rstrip("+") for name in table.commits.split()] == sorted(made.values())
    assert table.weights_sha256 == digest(load_file(run / "weights.safetensors"))
    tokens = (house.data / "train.tok").read_bytes()
    assert table.data_sha256 == hashlib.sha256(tokens[4096:]).hexdigest()
    text = (page / "index.html").read_text()
    for known in (*made.values(), table.weights_sha256, table.data_sha256):
        assert known[:10] in text
    assert last[:10] not in text
