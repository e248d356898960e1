"""Checksums: a record carries a SHA-256 of itself, and of the files beside it that belong to it.

It is taken of the values, not of the bytes: another layout is the same record, another number is
not.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tcsm.errors import InputError

OWN, BESIDE = "record_sha256", "files_sha256"
AGAIN = "run the same command again"


def sealed(record: dict[str, Any], folder: Path, beside: Sequence[str] = ()) -> dict[str, Any]:
    """A record with its checksums.

    Args:
        record: JSON values.
        folder: where it will lie.
        beside: names of the files there that belong to it.
    """
    named = {BESIDE: {name: _digest(folder / name) for name in beside}} if beside else {}
    plain = json.loads(json.dumps({**record, **named}))
    plain.pop(OWN, None)
    return {**plain, OWN: _of_values(plain)}


def opened(record: dict[str, Any], path: Path, again: Path) -> dict[str, Any]:
    """A record without its checksums, all of which hold.

    Args:
        record: what ``sealed`` returned.
        path: where it lay.
        again: the file that the workflow waits for: without it the stage is repeated.

    Raises:
        InputError: the record or a file beside it was altered, or is not there.
    """
    content = dict(record)
    if content.pop(OWN, None) != _of_values(content):
        raise InputError(f"{path}: altered, its {OWN} is another; delete {again} and {AGAIN}")
    for name, digest in content.pop(BESIDE, {}).items():
        file = path.with_name(name)
        if not file.exists() or _digest(file) != digest:
            state = "altered" if file.exists() else "not found"
            raise InputError(
                f"{file}: {state}, {path.name} has another sha256; delete {again} and {AGAIN}"
            )
    return content


def _of_values(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
