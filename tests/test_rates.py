"""The rates in ``params/ablation`` are those that ``benchmarks/results/rates.json`` tells."""

import json
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from benchmarks.rates import RESULT, SEED, choose
from benchmarks.rates_plan import QUESTIONS, Question, ask
from tcsm import config
from workflow.ablations import read

RATES = ("trainer.learning_rate", "by_chance", "penalized")
TOP = Path(__file__).parents[1]
PLAN = {
    "axes": {
        "method": {"none": ["trainer.steps=0"], "best_of": ["stages=[evaluate]"], "ours": []}
    },
    "scales": {"default": {"overrides": ["scale.steps=9"], "keep": {"method": ["ours"]}}},
}
ASKED = Question("method", ("0.1", "0.2", "0.4"), "loss", "none")


def rows(*found: tuple[str, float, float]) -> pd.DataFrame:
    columns = ["rate", "loss", "cost"]
    return pd.DataFrame(found, columns=columns).assign(variant="ours")


def test_all_trained_arms_get_all_rates_and_the_others_one() -> None:
    expected = ask(ASKED, PLAN, "default")
    assert expected["axes"]["rate"]["0.2"] == ["trainer.learning_rate=0.2"]
    one = [
        {"method": variant, "rate": rate}
        for variant in ("none", "best_of")
        for rate in ("0.2", "0.4")
    ]
    assert expected["without"] == one
    assert expected["scales"] == {"default": {"overrides": ["scale.steps=9"], "keep": {}}}


def test_the_best_below_the_limit_is_chosen_else_the_cheapest() -> None:
    some = rows(("0.1", 3.0, 0.01), ("0.2", 2.0, 0.05), ("0.4", 1.0, 0.06))
    assert choose(some, "loss") == {"ours": "0.2"}
    none = rows(("0.1", 3.0, 0.07), ("0.2", 2.0, 0.06), ("0.4", 1.0, 0.08))
    assert choose(none, "loss") == {"ours": "0.2"}


@pytest.mark.parametrize("name", QUESTIONS)
def test_params_hold_the_rates_that_were_chosen(name: str) -> None:
    message = json.loads((TOP / RESULT).read_text())[name]["chosen"]
    variants = {variant.name: variant.overrides for variant in read(name, "full", TOP / "params")}
    common = config.compose(
        variants[next(iter(message))][:1], TOP / "params"
    ).trainer.learning_rate
    assert {variant: rate(variants[variant], common) for variant in message} == {
        k: float(v) for k, v in message.items()
    }


@pytest.mark.parametrize("scale", ["default", "long", "full", "ratios"])
def test_no_report_shows_the_seed_of_the_choice(scale: str) -> None:
    assert SEED not in OmegaConf.load(TOP / f"params/scale/{scale}.yaml").seeds


def rate(overrides: tuple[str, ...], common: float) -> float:
    """What a variant says of its rate, else the rate of its experiment."""
    lines = [f"trainer.learning_rate={common}", *(line.lstrip("+") for line in overrides)]
    output = [line for line in lines if line.partition("=")[0] in RATES]
    return float(OmegaConf.from_dotlist(output).trainer.learning_rate)
