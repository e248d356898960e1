"""Sums, and a memory."""

import numpy as np
import pytest

from tcsm.errors import InputError
from tcsm.rewards.base import Reward, scores
from tcsm.rewards.combined import CachedReward, Sum


class Length(Reward):
    """Counts what it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked.append(list(texts))
        return np.array([float(len(text)) if text != "bad" else np.nan for text in texts])


class Capitals(Reward):
    def __call__(self, texts):
        return np.array([float(sum(map(str.isupper, text))) for text in texts])


def test_a_sum_is_weighed():
    assert scores(Sum([Length(), Capitals()], [2.0, -10.0]), ["ab", "ABC"]).tolist() == [4, -24]
    assert scores(Sum([Length()], [-1.0]), ["ab"]).tolist() == [-2]


@pytest.mark.parametrize("weights", [[], [1.0], [1.0, 2.0, 3.0]])
def test_every_part_has_a_weight(weights):
    with pytest.raises(InputError, match=r"reward\.weights "):
        Sum([Length(), Capitals()], weights)


def test_a_part_that_fails_is_told_by_its_name():
    with pytest.raises(InputError, match="reward Length: gave nan for text 1: 'bad'"):
        scores(Sum([Capitals(), Length()], [1.0, 1.0]), ["good", "bad"])


def test_a_text_is_asked_about_once():
    reward = Length()
    cached = CachedReward(reward, batch=2)
    texts = ["a", "bb", "a", "ccc", "bb"]
    assert scores(cached, texts).tolist() == [1, 2, 1, 3, 2]
    assert scores(cached, ["ccc", "dddd"]).tolist() == [3, 4]
    assert reward.asked == [["a", "bb"], ["ccc"], ["dddd"]]


def test_the_oldest_are_forgotten():
    reward = Length()
    cached = CachedReward(reward, limit=2)
    for texts in (["a", "b", "c"], ["c", "b"], ["a"]):
        assert scores(cached, texts).tolist() == [1.0] * len(texts)
    assert reward.asked == [["a", "b", "c"], ["a"]]
    assert list(cached.known) == ["c", "a"]


def test_what_fails_is_not_remembered():
    cached = CachedReward(Length())
    with pytest.raises(InputError, match="reward Length: gave nan for text 1: 'bad'"):
        scores(cached, ["good", "bad"])
    assert cached.known == {}


@pytest.mark.parametrize("key", ["batch", "limit"])
def test_bad_sizes_are_refused(key):
    with pytest.raises(InputError, match=rf"reward\.{key} .*0"):
        CachedReward(Length(), **{key: 0})
