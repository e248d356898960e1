"""What a reward must give, and how it is told what it did not."""

import numpy as np
import pytest

from tcsm.errors import InputError
from tcsm.rewards.base import Reward, scores

TEXTS = ["alpha", "beta", "gamma"]


def reward(judge):
    """A reward of one line, whatever it gives."""

    class Judge(Reward):
        def __call__(self, texts):
            return judge(texts)

    return Judge()


def fragile(text):
    if text == "beta":
        raise KeyError("no such word")
    return 1.0


def test_good_values_pass_as_float64():
    actual = scores(reward(lambda texts: [len(text) for text in texts]), TEXTS)
    assert actual.dtype == np.float64
    assert actual.tolist() == [5, 4, 5]


def test_no_texts_have_no_rewards():
    assert scores(reward(lambda texts: np.zeros(len(texts))), []).shape == (0,)


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (lambda t: np.where(np.array(t) == "beta", np.nan, 1.0), "gave nan for text 1: 'beta'"),
        (lambda t: np.where(np.array(t) == "gamma", -np.inf, 1), "gave -inf for text 2: 'gamma'"),
        (lambda t: 1.0, r"gave shape \(\) for 3 texts.*for text 0: 'alpha'"),
        (lambda t: np.zeros((len(t), 2)), r"gave shape \(3, 2\) for 3 texts, one number each"),
        (lambda t: np.zeros(len(set(t) - {"beta"})), r"shape \(2,\) for 3 .*for text 1: 'beta'"),
        (lambda t: np.zeros(len(t) // 3), r"shape \(1,\) for 3 texts, .* for text 0: 'alpha'"),
        (lambda t: [fragile(x) for x in t], "KeyError: 'no such word' for text 1: 'beta'"),
        (lambda t: [[1, 2], [3]], "ValueError: .* for text 0: 'alpha'"),
        (lambda t: np.zeros(1) if len(t) == 1 else 1 / 0, "ZeroDivisionError: division by zero$"),
    ],
)
def test_what_is_no_reward_is_told_with_its_text(judge, message):
    with pytest.raises(InputError, match=rf"^reward Judge: .*{message}"):
        scores(reward(judge), TEXTS)


def test_a_long_text_is_told_by_its_beginning():
    with pytest.raises(InputError, match=r"for text 0: 'x{80}'$"):
        scores(reward(lambda texts: [np.nan]), ["x" * 300])
