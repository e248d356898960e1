"""Contiguous cuts by character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcsm.data.corpora.base import check_fractions, cut
from tcsm.errors import InputError


def test_cut_is_contiguous():
    assert cut("t", ["abcdefghij"], (0.5, 0.2, 0.3)) == {
        "train": ["abcde"],
        "valid": ["fg"],
        "test": ["hij"],
    }


@given(st.text(min_size=20), st.floats(0.1, 0.8))
def test_cut_loses_nothing(text, share):
    rest = (1 - share) / 2
    assert (
        "".join("".join(part) for part in cut("t", [text], (share, rest, rest)).values()) == text
    )


def test_text8_has_its_usual_splits():
    parts = cut("text8", ["a" * 100_000], (0.9, 0.05, 0.05))
    assert [len(part[0]) for part in parts.values()] == [90_000, 5_000, 5_000]


def test_each_text_is_cut_alone():
    parts = cut("t", ["aaaaaaaa", "bbbb", ""], (0.5, 0.25, 0.25))
    assert parts == {"train": ["aaaa", "bb"], "valid": ["aa", "b"], "test": ["aa", "b"]}


def test_too_short_text_is_refused():
    with pytest.raises(InputError, match=r"corpus t: 3 characters leave nothing .* 'valid'"):
        cut("t", ["abc"], (0.9, 0.05, 0.05))


@pytest.mark.parametrize("fractions", [(0.9, 0.05), (0.9, 0.2, 0.05), (1.0, 0.0, 0.0), ()])
def test_bad_fractions_are_refused(fractions):
    with pytest.raises(InputError, match=r"corpus\.fractions "):
        check_fractions(fractions)
