"""Optional packages, by stand-ins where they are not installed."""

import importlib.util
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tcsm.errors import InputError
from tcsm.rewards.base import scores
from tcsm.rewards.combined import Sum
from tcsm.rewards.lexicon import Profanity, Vader


def installed(name):
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"without {name}")


@pytest.mark.parametrize(
    ("reward", "module", "extra"),
    [
        (Vader(), "vaderSentiment", "sentiment"),
        (Profanity(), "profanity_check", "toxicity"),
    ],
)
def test_a_missing_extra_is_told(monkeypatch, reward, module, extra):
    for name in [*filter(lambda name: name.startswith(module), sys.modules), module]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"{module} is missing; pip install tcsm\[{extra}\]"):
        scores(reward, ["a"])


def test_log_odds_of_a_probability(monkeypatch):
    output = {"fine": 0.2, "sure": 1.0, "never": 0.0}
    stand_in = SimpleNamespace(predict_prob=lambda texts: np.array([output[t] for t in texts]))
    monkeypatch.setitem(sys.modules, "profanity_check", stand_in)
    most = math.log(1 - 1e-6) - math.log(1e-6)
    assert scores(Profanity(), [*output]) == pytest.approx([math.log(1 / 4), most, -most])


@installed("vaderSentiment")
def test_vader_knows_praise():
    actual = scores(Vader(), ["a great and lovely film", "a horrible film", "a film"])
    assert actual[0] > 0.5
    assert actual[1] < -0.5
    assert actual[2] == 0


@installed("profanity_check")
def test_less_offense_is_better():
    actual = scores(Sum([Profanity()], [-1.0]), ["good morning to you", "you stupid shit"])
    assert actual[0] > 0 > actual[1]
