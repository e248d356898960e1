"""Decode UTF-8 text; name the actual encoding, and the command that converts it, if it fails."""

import codecs
import os
import shlex
from pathlib import Path

from tcsm.errors import InputError

HEAD = 2**13  # bytes that decide whether a file is text
MARK = "\ufeff"  # the byte order mark
_MARKS = {  # UTF-32 first: its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_UNMARKED = ("UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE")
_CONTROLS = bytes(set(range(0x20)) - set(b"\b\t\n\v\f\r\x1a\x1b")) + b"\x7f"


def decode(content: bytes, file: str | Path, where: str | None = None) -> str:
    """Return the UTF-8 text of a file's content, without a byte order mark at its beginning.

    Args:
        content: Content of the file, or a line of it.
        file: Path of the file.
        where: Place in the file for messages.

    Raises:
        InputError: Another encoding, with the command that converts it, or a NUL byte.
    """
    head, where = content[:HEAD], where or shown(file)
    if name := wide_encoding(head):
        raise InputError(f"{where}: {name}, wanted UTF-8; {_convert(file, name)}")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        way = f"{_convert(file, 'ENCODING')}, where ENCODING is its own, such as LATIN1 or GB18030"
        if error.reason == "unexpected end of data":
            cut = f"{where}: ends in the middle of a character of UTF-8, at byte {error.start}"
            sure = error.end - error.start > 1 or not content[: error.start].isascii()
            raise InputError(f"{cut}; is it cut off?{'' if sure else f' else {way}'}") from None
        raise InputError(
            f"{where}: not UTF-8 at byte {error.start} (0x{content[error.start]:02x}); "
            f"{'a binary file, no text' if is_binary(head) else way}"
        ) from None
    if (place := content.find(0)) >= 0:
        raise InputError(
            f"{where}: a NUL byte at byte {place}, which no text holds; is the file damaged or "
            "binary? remove such bytes with: tr -d '\\000'"
        )
    return text.removeprefix(MARK)


def shown(path: str | Path) -> str:
    """Return a path on one line, whatever bytes it holds: as it is, or quoted for a shell."""
    return str(path) if str(path).isprintable() else f"${repr(os.fsencode(path))[1:]}"


def is_binary(head: bytes) -> bool:
    """Return whether a file with this beginning holds control characters that no text has."""
    if wide_encoding(head):
        return False
    return head.startswith(b"%PDF-") or len(head.translate(None, _CONTROLS)) < len(head)


def wide_encoding(head: bytes) -> str | None:
    """Return the name of UTF-16 or UTF-32 for content with this beginning, else None."""
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    if 0 not in head:
        return None
    if 4 * head.count(0) < len(head) and _is_plain(head.replace(b"\0", b"")):
        return None  # UTF-8 with some NUL bytes
    scores = {name: _ascii(head, name) for name in _UNMARKED}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] else None


def check_text(text: str, where: str) -> None:
    """Refuse NUL, and half a surrogate pair, which is no character and has no UTF-8.

    Raises:
        InputError: The place and the first such character.
    """
    if (place := text.find("\0")) >= 0:
        raise InputError(f"{where}: character {place} is NUL, which no text holds")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])[1:-1]
        raise InputError(
            f"{where}: character {error.start} is {half}, half a surrogate pair; write both"
        ) from None


def _is_plain(head: bytes) -> bool:
    """Return whether this beginning is UTF-8 without control characters."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return len(head.translate(None, _CONTROLS)) == len(head)


def _ascii(head: bytes, name: str) -> int:
    """Return the number of ASCII characters of content in an unmarked encoding; 0 if invalid."""
    try:
        text = codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return 0
    plain = text.translate(dict.fromkeys(_CONTROLS))
    return sum(map(str.isascii, text)) if plain == text else 0


def _convert(file: str | Path, name: str) -> str:
    typed = shlex.quote(str(file)) if str(file).isprintable() else shown(file)
    return f"convert it first: iconv -f {name} -t UTF-8 {typed} > NEW"
