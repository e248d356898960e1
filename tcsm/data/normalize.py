"""Normalizations: functions from text to text that keep the symbols of a corpus."""

import string

_SPELLED = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_LETTERS = string.ascii_letters.encode()
_KEPT = bytes(byte | 0x20 if byte in _LETTERS else 0x20 for byte in range(256))  # a-z or space


def verbatim(text: str) -> str:
    """Return the text unchanged."""
    return text


def text8(text: str) -> str:
    """Return the text in 27 symbols, "a" to "z" and the space, by the rules of the text8 corpus.

    ASCII letters become lower case, each digit its English name set off by spaces, every other
    character a space; runs of spaces become one space and the ends are stripped.
    """
    plain = text.encode("ascii", "replace")
    for digit, word in enumerate(_SPELLED):
        plain = plain.replace(b"%d" % digit, b" %s " % word.encode())
    return b" ".join(plain.translate(_KEPT).split()).decode()
