"""Halves of labeled texts, made up here."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcsm.data.labels.base import Labels, labeled, windows
from tcsm.data.normalize import text8
from tcsm.data.tally import Tally
from tcsm.errors import InputError


@dataclass(frozen=True)
class MadeUp(Labels):
    texts: tuple[tuple[str, int], ...] = field(repr=False)
    length: int | None = None
    held_out: float = 0.3
    normalize = text8
    title = "made-up"

    def rows(self):
        return iter(self.texts)


def many(count=400):
    return tuple((f"text number {n}", n % 2) for n in range(count))


def every(labels, split=("train", "test")):
    return [[text for s in split for text in labels.half(half)[s].texts] for half in (0, 1)]


def test_halves_share_no_text_and_lose_none():
    first, second = every(MadeUp(many()))
    assert not set(first) & set(second)
    assert sorted(first + second) == sorted(text for text, _ in many())


def test_a_text_met_again_lies_on_the_same_side():
    labels = MadeUp(many() + many())
    for half in (0, 1):
        actual = labels.half(half)
        assert not set(actual["train"].texts) & set(actual["test"].texts)
        assert len(actual["train"]) == 2 * len(set(actual["train"].texts))


def test_shares_are_about_what_was_asked():
    labels = MadeUp(many(4000))
    for half in (0, 1):
        actual = {split: len(examples) for split, examples in labels.half(half).items()}
        assert abs(sum(actual.values()) - 2000) < 5 * 4000**0.5 / 2
        assert abs(actual["test"] / sum(actual.values()) - 0.3) < 5 * (0.3 * 0.7 / 2000) ** 0.5


def test_labels_stay_with_their_texts():
    for half in (0, 1):
        for examples in MadeUp(many()).half(half).values():
            assert examples.array.dtype == np.int64
            assert [int(text.split()[-1]) % 2 for text in examples.texts] == examples.labels


def test_what_comes_later_moves_nothing():
    """Sides are functions of a text: more texts leave the others where they were."""
    for fewer, more in zip(every(MadeUp(many(200))), every(MadeUp(many(400))), strict=True):
        assert set(fewer) <= set(more)


def test_a_side_without_a_label_is_refused():
    with pytest.raises(
        InputError, match=r"labels made-up: half 0 has no text of label 1 to train"
    ):
        MadeUp(tuple((f"text {n}", 0) for n in range(50))).half(0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"length": 0}, r"labels\.length must be 1 or more, or null; found 0"),
        ({"held_out": 0.0}, r"labels\.held_out must lie in \(0, 1\), found 0\.0"),
        ({"held_out": 1.0}, r"labels\.held_out must lie in \(0, 1\)"),
    ],
)
def test_bad_fields_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        MadeUp(many(), **fields)


@given(st.text(min_size=1), st.integers(1, 20))
def test_windows_are_the_text_but_for_a_short_rest(text, length):
    actual = list(windows(text, length))
    whole = "".join(actual)
    assert text.startswith(whole)
    assert 2 * (len(text) - len(whole)) < length
    assert all(len(piece) == length for piece in actual[:-1])
    assert len(actual) == 1 or 2 * len(actual[-1]) >= length


def test_windows_of_no_length_are_the_text():
    assert list(windows("abc", None)) == ["abc"]


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        (3, 1, "a file:7: its text is 3, expected a string"),
        ("good", 2, "a file:7: its label is 2, expected 0 or 1"),
        ("good", "1", "a file:7: its label is '1', expected 0 or 1"),
        ("good", None, "a file:7: its label is None, expected 0 or 1"),
        ("?!", 1, r"a file:7: nothing remains of its text '\?!' by .*text8; set it"),
        ("  ", 1, "a file:7: nothing remains of its text '  '$"),
    ],
)
def test_a_bad_row_is_refused(text, label, message):
    with pytest.raises(InputError, match=message):
        labeled(Tally(text8, "set it"), text, label, "a file:7")


@pytest.mark.parametrize(("label", "kept"), [(0, 0), (1, 1), (True, 1), (False, 0), (1.0, 1)])
def test_a_good_row_is_normalized(label, kept):
    assert labeled(Tally(text8, "set it"), "It's 2!", label, "here") == ("it s two", kept)
