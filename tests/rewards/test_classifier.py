"""A trained classifier as a reward."""

import numpy as np
import pytest

from tcsm.errors import InputError
from tcsm.io.layout import WEIGHTS
from tcsm.rewards.base import scores
from tcsm.rewards.classifier import FORMER, Classifier
from tcsm.rewards.grams import Grams, Logistic

GRAMS = Grams("word", 1, 1, bits=8)


def test_its_reward_is_the_log_odds(tmp_path):
    trained = Logistic(GRAMS, np.arange(2.0**8), 0.5)
    trained.save(tmp_path / WEIGHTS)
    reward = Classifier(str(tmp_path))
    assert scores(reward, ["a", "b a"]).tolist() == trained.log_odds(["a", "b a"]).tolist()


def test_nothing_is_read_before_it_is_asked(tmp_path):
    reward = Classifier(str(tmp_path))
    Logistic(GRAMS, np.zeros(2**8), 0.5).save(tmp_path / WEIGHTS)
    assert scores(reward, ["a"]).tolist() == [0.5]
    (tmp_path / WEIGHTS).unlink()
    assert scores(reward, ["b"]).tolist() == [0.5]


def test_a_file_of_an_earlier_version_is_read(tmp_path):
    Logistic(GRAMS, np.zeros(2**8), 0.5).save(tmp_path / FORMER)
    assert scores(Classifier(str(tmp_path)), ["a"]).tolist() == [0.5]


def test_a_missing_run_is_told_by_key_and_file(tmp_path):
    with pytest.raises(InputError, match=r"^judge_run: found null, expected the folder of a"):
        scores(Classifier(None, "judge_run"), ["a"])
    with pytest.raises(InputError, match=rf"^reward_run: .*{WEIGHTS} does not exist; train it"):
        scores(Classifier(str(tmp_path)), ["a"])


def test_a_damaged_file_is_told(tmp_path):
    (tmp_path / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(InputError, match=rf"{WEIGHTS}: no whole classifier"):
        scores(Classifier(str(tmp_path)), ["a"])
