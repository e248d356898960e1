"""Gains in units of the baseline's spread, and how often the reward was asked."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tcsm.reporting.gains import BPC, JUDGE, LACK, REWARD, beside, calls
from tcsm.reporting.runs import Run


def run(judge=0.0, reward=0.0, **fields):
    grade = {
        "judge_reward": {"mean": judge, "sd": 2.0},
        "reward": {"mean": reward, "sd": 4.0},
        "entropy": 4.0,
        "repetition": 0.1,
        "reward_calls": 12,
    }
    empty = pd.DataFrame()
    whole = {"config": {}, "grade": grade, "evaluate": {"splits": {}}, **fields}
    return Run(
        Path("run"), "reward/arm", 0, config_sha256="", metrics=empty, telemetry=empty, **whole
    )


def row(bpc):
    return pd.Series({"test_bpc": bpc})


def test_gains_are_in_deviations_of_the_baseline():
    found = beside(run(3.0, 1.0), row(2.2), run(1.0, -1.0), row(2.0))
    assert found[JUDGE] == pytest.approx(1.0)
    assert found[LACK] == pytest.approx(-1.0)
    assert found[REWARD] == pytest.approx(0.5)
    assert found[BPC] == pytest.approx(0.1)
    assert found["entropy_share"] == 0


def test_a_guide_leaves_the_likelihood_and_an_absent_run_says_nothing():
    guided = beside(run(evaluate={}), row(np.nan), run(), row(2.0))
    assert guided[BPC] == 0
    assert np.isnan(beside(None, row(2.0), run(), row(2.0))[JUDGE])
    assert np.isnan(beside(run(), row(2.0), None, row(2.0))[JUDGE])


def test_calls_are_those_of_guide_training_and_collection():
    folder = Path("results/buffer")
    collected = run(config={"feed": {"tilt": {}}, "collected": str(folder)})
    buffer = run(collect={"reward_calls": 500})
    assert calls(collected, {folder: buffer}) == 512
    assert calls(collected, {}) == 12
    policy = run(config={"feed": {"reward": {}}, "data": {"batch": 32}}, train={"steps": 10})
    assert calls(policy, {}) == 12 + 320
    assert calls(run(), {}) == 12
    assert np.isnan(calls(None, {}))
