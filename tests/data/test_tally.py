"""What a normalization drops."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcsm.data import tally
from tcsm.data.normalize import text8, verbatim
from tcsm.data.tally import Tally


@given(st.lists(st.text()))
def test_nothing_changes_and_everything_is_counted(texts):
    count = Tally(text8, "set this")
    assert [count(text) for text in texts] == [text8(text) for text in texts]
    assert count.characters == sum(map(len, texts))
    kept = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    actual = "".join(texts)
    assert count.dropped() == {
        char: actual.count(char) for char in actual if char not in kept and not char.isspace()
    }


def test_counts_are_the_same_in_small_parts(monkeypatch):
    monkeypatch.setattr(tally, "_CHUNK", 4)
    count = Tally(text8, "set this")
    for text in ["a, b, c, d", "plain", ".", "e.f.g.h.i"]:
        count(text)
    assert count.dropped() == {",": 3, ".": 5}
    assert count.dropped().total() == 8  # asked twice


def test_other_normalizations():
    assert Tally(verbatim, "set this").notes() == []
    lower = Tally(lambda text: unicodedata.normalize("NFKC", text).lower(), "set this")
    lower("Ünïcode ﬁ!")
    assert lower.notes() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It was so, and so it was, and so it was. " * 9, ["text8", "27 of 369", "7.3%", "','"]),
        ("Plain words", []),
    ],
)
def test_punctuation_is_said_calmly(text, words):
    count = Tally(text8, "set this")
    count(text)
    line = " ".join(count.notes())
    assert all(word in line for word in words)
    assert bool(line) == bool(words)
    assert "warning" not in line


@pytest.mark.parametrize("text", ["l'été à la plage " * 9, "{[(a)]}; " * 9, "слово word " * 9])
def test_letters_or_much_is_a_warning_that_says_what_to_set(text):
    count = Tally(text8, "set this")
    count(text)
    (line,) = count.notes()
    assert "warning" in line
    assert line.endswith("; set this")
