"""JSON lines: a file with one object per line, plain or compressed by gzip or zstandard."""

import json
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tcsm.data.encoding import check_text, decode
from tcsm.data.packed import unpacked
from tcsm.errors import InputError

Object = dict[str, Any]


def read_objects(path: Path, key: str, names: Sequence[str]) -> Iterator[tuple[str, Object]]:
    """Yield the objects of a file in their order, each with its place, "path:line".

    Lines end with a line feed or with CR LF; a byte order mark and blank lines at the end are
    ignored.

    Args:
        path: The file.
        key: Key of the configuration that names the file.
        names: Keys that an object may have; texts below them are checked.

    Raises:
        InputError: The file cannot be read or has no line; or the number of the first invalid
            line,
            and why.
    """
    blank, count = None, 0
    for count, raw in enumerate(lines(path, key), start=1):
        where, line = f"{path}:{count}", raw.removeprefix(BOM_UTF8).rstrip(b"\r\n")
        if not line.strip():
            blank = blank or where
            continue
        if blank:
            raise InputError(f"{blank}: not valid JSON (a blank line, and more behind it)")
        yield where, _object(decode(line, path, where), where, names)
    if not count or blank == f"{path}:1":
        raise InputError(
            f"{path}: found no line; one is an object with {', '.join(names)} ({key})"
        )


def lines(path: Path, key: str) -> Iterator[bytes]:
    """Yield the lines of a file, each with its end.

    Raises:
        InputError: It cannot be read, with the key that names it.
    """
    try:
        with unpacked(path) as file:
            yield from file
    except InputError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {reason} ({key})") from error


def _object(line: str, where: str, names: Sequence[str]) -> Object:
    try:
        value = json.loads(line, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos}"
        raise InputError(f"{where}: not valid JSON ({reason})") from None
    except (ValueError, RecursionError) as error:  # a number, or nesting, beyond Python's limits
        raise InputError(f"{where}: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise InputError(f"{where}: found {kind}, wanted an object with {', '.join(names)}")
    for name in names:
        if isinstance(text := value.get(name), str):
            check_text(text, f"{where}: {name}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> Object:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return value
