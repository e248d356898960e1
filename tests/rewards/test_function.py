"""Functions of a user's module."""

import pytest

from tcsm.errors import InputError
from tcsm.rewards.base import scores
from tcsm.rewards.function import Function

MODULE = """
def vowels(texts):
    assert isinstance(texts, list)
    return [sum(letter in "aeiou" for letter in text) for text in texts]

def fragile(texts):
    return [1 / len(text) for text in texts]

class Judges:
    @staticmethod
    def total(texts):
        return len(texts)

constant = Judges()
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "my_rewards.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TCSM_TARGETS", "my_rewards, broken, nowhere")


def test_a_function_is_a_reward():
    assert scores(Function("my_rewards:vowels"), ("idea", "sky")).tolist() == [3, 0]


def test_a_function_that_fails_is_told_with_its_text():
    with pytest.raises(InputError, match=r"Function: ZeroDivisionError: .* for text 1: ''"):
        scores(Function("my_rewards:fragile"), ["a", ""])


def test_a_function_of_another_shape_is_told():
    with pytest.raises(InputError, match=r"reward Function: gave shape \(\) for 2 texts"):
        scores(Function("my_rewards:Judges.total"), ["a", "b"])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("my_rewards.vowels", "found my_rewards.vowels, expected module:function"),
        ("nowhere:f", r"nowhere:f cannot be imported \(ModuleNotFoundError: No module"),
        (
            "my_rewards:consonants",
            r"my_rewards:consonants cannot be imported \(AttributeError: .*'consonants'",
        ),
        ("my_rewards:constant", "my_rewards:constant is not callable: <my_rewards.Judges"),
        ("broken:f", r"broken:f cannot be imported \(RuntimeError: not today, .*broken.py:1\)"),
        (":f", "found :f; it must start with 'tcsm.'"),
    ],
)
def test_what_is_not_there_is_told_when_it_is_built(path, message):
    with pytest.raises(InputError, match=rf"^reward\.path: {message}"):
        Function(path)
