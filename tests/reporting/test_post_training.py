"""Win rates by brute force, and how often the reward was called."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tcsm.reporting.frames import reward_calls
from tcsm.runs.outcome import Outcome
from tcsm.statistics import wins


def run(**fields):
    empty = pd.DataFrame()
    whole = {"config": {}, "rewards": {"reward_calls": 12}, **fields}
    return Outcome(
        Path("run"), "reward/own", 0, config_sha256="", metrics=empty, telemetry=empty, **whole
    )


def test_wins_are_counted_over_all_pairs_and_ties_are_halved():
    draw = np.random.default_rng(0)
    values, base = draw.integers(0, 5, 30).astype(float), draw.integers(0, 5, 20).astype(float)
    gap = values[:, None] - base
    assert wins(values, base) == pytest.approx(float(((gap > 0) + (gap == 0) / 2).mean()))
    assert wins(values, values) == 0.5


def test_calls_are_those_of_guidance_training_and_collection():
    folder = Path("results/buffer")
    collected = run(config={"batches": {"tilt": {}}, "collected": str(folder)})
    buffer = run(collect={"reward_calls": 500})
    assert reward_calls(collected, {folder: buffer}) == 512
    assert reward_calls(collected, {}) == 12
    policy = run(config={"batches": {"reward": {}}, "data": {"batch": 32}}, train={"steps": 10})
    assert reward_calls(policy, {}) == 12 + 320
    assert reward_calls(run(), {}) == 12
