"""The verses of the King James Bible as the package has them."""

import pytest

from tcsm.data.labels import testaments
from tcsm.data.normalize import text8


@pytest.fixture(scope="module")
def rows():
    return list(testaments.Testaments(text8, 64).rows())


@pytest.fixture(scope="module")
def halves():
    labels = testaments.Testaments(text8, 64)
    return [labels.half(0), labels.half(1)]


def test_verses_are_all_there_and_labeled(rows):
    assert len(rows) == 31_102
    assert sum(label for _, label in rows) == 7_957
    assert rows[0] == ("in the beginning god created the heaven and the earth", 0)
    assert rows[23_144][0].endswith("lest i come and smite the earth with a curse")
    assert rows[23_144][1] == 0
    assert rows[23_145][0].startswith("the book of the generation of jesus christ")
    assert rows[23_145][1] == 1
    assert rows[-1] == ("the grace of our lord jesus christ be with you all amen", 1)


@pytest.mark.slow
def test_no_verse_is_of_two_sides(rows):
    labels = testaments.Testaments(text8, None)
    sides = [set(ex.texts) for half in (0, 1) for ex in labels.half(half).values()]
    assert sum(map(len, sides)) == len(set().union(*sides)) == len({text for text, _ in rows})


@pytest.mark.slow
def test_pieces_are_as_long_as_samples(halves):
    pieces = [text for half in halves for examples in half.values() for text in examples.texts]
    assert sum(len(text) != 64 for text in pieces) <= 8  # the last of each label and side
    assert len(pieces) > 62_000
    assert any(text.startswith(" ") or not text.endswith(" ") for text in pieces)


@pytest.mark.slow
def test_halves_share_next_to_no_piece(halves):
    """Verses never: windows of formulas that return word for word in others, a handful."""
    first, second = ({t for ex in half.values() for t in ex.texts} for half in halves)
    assert len(first & second) < 10


@pytest.mark.slow
def test_a_quarter_of_the_pieces_is_new_testament(halves):
    for half in halves:
        for examples in half.values():
            assert 0.2 < examples.array.mean() < 0.26
