"""Numbers, curves and parameters of two states side by side, and a sweep."""

import json
import re
import shutil
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from omegaconf import OmegaConf

from tests.dvc.house import CLEAN, KJV_SCORE, TOP, Checkout

FILE, KEY = "params/experiment/kjv/score.yaml", "objective.weight"


@pytest.fixture(scope="module")
def tried(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the finished clone in which one experiment was run; not to be changed."""
    house = finished.copy(tmp_path_factory.mktemp("tried") / "house")
    house.dvc("exp", "run", "--name", "three", "--set-param", f"{FILE}:++{KEY}=3.0")
    return house


def test_an_experiment_retrains_what_it_changes(finished: Checkout, tried: Checkout) -> None:
    before = finished.times()
    changed = {name for name, time in tried.times().items() if time != before[name]}
    assert changed == {KJV_SCORE}
    assert tried.dvc("status").strip() == CLEAN


def test_numbers_and_parameters_of_two_states_are_compared(tried: Checkout) -> None:
    shown = json.loads(tried.dvc("metrics", "show", "--json"))
    assert shown[""]["data"]["reports/metrics.json"]["data"]["headline"]["score"] == 9.0
    change = {"old": 6.0, "new": 9.0, "diff": 3.0}
    diff = json.loads(tried.dvc("metrics", "diff", "--json"))
    assert diff == {"reports/metrics.json": {"headline.score": change}}
    diff = json.loads(tried.dvc("params", "diff", "--json"))
    assert diff == {FILE: {KEY: {"old": None, "new": 3.0}}}


def test_curves_of_two_states_are_drawn(tried: Checkout, tmp_path: Path) -> None:
    tried.dvc("plots", "diff", "HEAD", "--out", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert "Bits per token while training" in page
    for value, state in (("9.0", "workspace"), ("6.0", "HEAD")):
        assert f'"dvc_inferred_y_value": "{value}", "rev": "{state}"' in page


def test_experiments_are_listed_and_one_is_brought_back(tried: Checkout, tmp_path: Path) -> None:
    house = tried.copy(tmp_path / "house")
    house.git("checkout", "--quiet", ".")
    house.dvc("checkout", "--force")
    assert (house.folder / KJV_SCORE).read_text() == "6.0"
    table = house.dvc("exp", "show", "--csv", "--only-changed")
    head, *lines = [line.split(",") for line in table.splitlines()]
    number = head.index("headline.score")
    (value,) = (place for place, name in enumerate(head) if name.endswith(KEY))
    actual = {line[0]: (line[number], line[value]) for line in lines}
    assert actual["three"] == ("9.0", "3.0")
    house.dvc("exp", "apply", "three")
    assert house.make("checkout").returncode == 0
    assert (house.folder / KJV_SCORE).read_text() == "9.0"
    assert house.plan() == {}


def test_the_page_sweeps_a_value_that_dvc_can_set(tmp_path: Path) -> None:
    """DVC resolves the file that it writes into, so none that refers to others will do."""
    page = (TOP / "docs/reproduce.md").read_text("utf-8")
    actual = re.search(r"-S (\S+?):(\S+?)=", page)
    assert actual is not None
    file = tmp_path / "experiment.yaml"
    shutil.copy(TOP / actual[1], file)
    for value in (0.02, 0.1):
        apply_overrides(file, [f"{actual[2]}={value}"])
        assert OmegaConf.select(OmegaConf.load(file), actual[2].strip("+")) == value
    assert file.read_text().startswith("# @package _global_\n")


def test_an_experiment_beside_the_workspace_is_refused(house: Checkout) -> None:
    """Its copy has results and no records of Snakemake: old results under new parameters."""
    done = house.run("dvc", "exp", "run", "--temp", "--set-param", f"{FILE}:++{KEY}=3.0")
    assert done.returncode != 0
    assert "was not made here" in done.stdout + done.stderr
