"""Detokenizers: functions from the text of a benchmark, spaces around its tokens, to plain text.

Like those of other papers they are approximate; a record names the one that was used.
"""

import re

_CLOSING = re.compile(r" +([.,:;!?]+)(?=\s|$)")
_ENDING = re.compile(r" +(n't|'(?:s|m|d|re|ve|ll))\b")
_QUOTED = re.compile(r"([\"']) ([^\"']+?) \1")
_BRACKETED = re.compile(r"([(\[{]) *([^()\[\]{}]*?) *([)\]}])")


def spaced(text: str) -> str:
    """Return the text without the spaces around punctuation, quotes, brackets and endings."""
    text = _ENDING.sub(r"\1", _CLOSING.sub(r"\1", text))
    return _BRACKETED.sub(r"\1\2\3", _QUOTED.sub(r"\1\2\1", text))


def wikitext(text: str) -> str:
    """Return a line of WikiText: numbers and hyphens joined, signs of headings together."""
    text = re.sub(r" @([-,.])@ ", r"\1", text)
    text = re.sub(r"=(?: =)+", lambda signs: signs[0].replace(" ", ""), text)
    return re.sub(r" *° *", "°", spaced(text)).strip()


def penn(text: str) -> str:
    """Return a sentence of the Penn Treebank: numbers as 1, unknown words as "?"."""
    text = re.sub(r"(?<!\S)N(?!\S)", "1", text).replace("\\/", "/").replace("<unk>", "?")
    return re.sub(r"([$#]) ", r"\1", _ENDING.sub(r"\1", text)).strip()


def news(text: str) -> str:
    """Return a sentence of the One Billion Word benchmark."""
    text = re.sub(r"(https?) : / / ", r"\1://", text).replace(" / ", "/")
    return re.sub(r"([$£]) ", r"\1", spaced(text)).strip()


def papers(text: str) -> str:
    """Return an article of arXiv or PubMed."""
    return news(wikitext(text))


def lambada(text: str) -> str:
    """Return a passage of LAMBADA after a line feed, with straight quotes."""
    return "\n" + text.translate({0x201C: '"', 0x201D: '"'}).strip()
