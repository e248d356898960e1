"""The rates in ``params/ablation`` are those that ``benchmarks/results/rates.json`` tells."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.rates import QUESTIONS, RESULT, Question, ask, choose
from tcsm import config
from workflow.ablations import read

TOP = Path(__file__).parents[1]
PLAN = {
    "axes": {"method": {"none": ["trainer.steps=0"], "best_of": ["stages=[grade]"], "ours": []}},
    "scales": {"default": {"overrides": ["scale.steps=9"], "keep": {"method": ["ours"]}}},
}
ASKED = Question("method", ("0.1", "0.2", "0.4"), "loss", "none")


def rows(*found: tuple[str, float, float]) -> pd.DataFrame:
    columns = ["rate", "loss", "cost"]
    return pd.DataFrame(found, columns=columns).assign(arm="ours")


def test_all_trained_arms_get_all_rates_and_the_others_one() -> None:
    asked = ask(ASKED, PLAN, "default")
    assert asked["axes"]["rate"]["0.2"] == ["trainer.learning_rate=0.2"]
    one = [{"method": arm, "rate": rate} for arm in ("none", "best_of") for rate in ("0.2", "0.4")]
    assert asked["without"] == one
    assert asked["scales"] == {"default": {"overrides": ["scale.steps=9"], "keep": {}}}


def test_the_best_below_the_limit_is_chosen_else_the_cheapest() -> None:
    some = rows(("0.1", 3.0, 0.01), ("0.2", 2.0, 0.05), ("0.4", 1.0, 0.06))
    assert choose(some, "loss") == {"ours": "0.2"}
    none = rows(("0.1", 3.0, 0.07), ("0.2", 2.0, 0.06), ("0.4", 1.0, 0.08))
    assert choose(none, "loss") == {"ours": "0.2"}


@pytest.mark.parametrize("name", QUESTIONS)
def test_params_hold_the_rates_that_were_chosen(name: str) -> None:
    told = json.loads((TOP / RESULT).read_text())[name]
    arms = {arm.name: arm.overrides for arm in read(name, "full", TOP / "params")}
    found = {
        name: config.compose(arms[name], TOP / "params").trainer.learning_rate
        for name in told["chosen"]
    }
    assert found == {name: float(rate) for name, rate in told["chosen"].items()}
