"""Records: JSON files and JSON-lines files, their one writer and their one reader.

A record is JSON with sorted keys and shortest round-trip floats, so equal runs leave equal bytes.
A whole one carries its checksum; that of lines lies in the record of the stage that wrote them.
A number that overflowed is written as null, and named on standard error: a whole record is worth
more than one number. The reader refuses what no writer wrote, NaN and infinity.
"""

import io
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tcsm.errors import InputError
from tcsm.io.atomic import write_atomic
from tcsm.io.checksums import AGAIN, opened, sealed

Record = dict[str, Any]


class Writer:
    """Appends records to a JSON-lines file, one complete line each.

    A run that resumes hands in the step of its checkpoint: records of later steps (and a line that
    was torn by a crash) are forgotten, since they will be written again.
    """

    def __init__(self, path: Path, step: int = -1) -> None:
        """Opens ``path``; keeps its records up to ``step``, by default none."""
        self.path = path
        write_text(path, "".join(_lines_until(path, step)))
        self._file = path.open("a", buffering=1, encoding="utf-8")

    def append(self, record: Mapping[str, object]) -> None:
        """Writes one line; null for a number that is not finite."""
        line = encode(record, self.path, None) + "\n"
        try:
            self._file.write(line)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def write_text(path: Path, text: str) -> None:
    """Writes a text as `write_atomic` does."""
    write_atomic(path, text.encode())


def write_json(path: Path, record: Mapping[str, object], beside: Sequence[str] = ()) -> None:
    """Writes a whole record at once, with its checksum; null for a number that is not finite.

    Args:
        path: where to.
        record: its values.
        beside: names of the files in the same folder that belong to it and have none of their own.

    Raises:
        InputError: the file cannot be written.
    """
    known = _finite(record, path)
    write_text(path, encode(sealed(known, path.parent, beside), path, 1) + "\n")


def read_json(path: Path, keys: Sequence[str], again: Path | None = None) -> Record:
    """Reads a whole record that must have ``keys``; {} if its stage has not run yet.

    Args:
        path: where it lies.
        keys: what it must have.
        again: the file to delete so that its stage is repeated, if it is another one.

    Raises:
        InputError: it is damaged, or a file beside it that belongs to it.
    """
    if not path.exists():
        return {}
    again = again or path
    record = opened(_parse(_text(path, again), path, again=again), path, again)
    require(record, keys, str(path))
    return record


def metrics_of(record: Mapping[str, Any]) -> dict[str, Record]:
    """Return metric → its fields of the record of an evaluation; earlier ones hold one alone."""
    return dict(record.get("metrics") or ({"likelihood": record} if "splits" in record else {}))


def read_lines(path: Path, keys: Sequence[str]) -> list[Record]:
    """Reads a JSON-lines file, one record a step, each of which must have ``keys``."""
    rows: list[Record] = []
    for number, line in enumerate(_lines(path), start=1):
        row = _parse(line, path, number)
        require(row, keys, f"{path}:{number}")
        if rows and row["step"] <= rows[-1]["step"]:
            raise InputError(
                f"{path}:{number}: step {row['step']} after {rows[-1]['step']}; steps increase"
            )
        rows.append(row)
    return rows


def require(record: Mapping[str, object], keys: Sequence[str], where: str) -> None:
    """Raises InputError if ``record``, found at ``where``, lacks one of ``keys``."""
    missing = [key for key in keys if key not in record]
    if missing:
        raise InputError(
            f"{where}: missing {', '.join(missing)}; this record has the keys {', '.join(keys)}"
        )


def encode(record: Mapping[str, object], path: Path, indent: int | None) -> str:
    """A record as the text of a file; null for a number that is not finite."""
    known = _finite(record, path)
    return json.dumps(known, sort_keys=True, ensure_ascii=False, indent=indent)


def _finite(record: Mapping[str, object], path: Path) -> Record:
    """The record with null for every number that is not finite; one line names the first."""
    lost: list[str] = []
    known = {key: _known(value, key, lost) for key, value in record.items()}
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        print(f"tcsm: {path}: {lost[0]}{more}; written as null", file=sys.stderr)
    return known


def _known(value: object, key: str, lost: list[str]) -> object:
    """A value as JSON holds it; ``lost`` gains the key and the value of each lost number."""
    if isinstance(value, float) and not math.isfinite(value):
        lost.append(f"{key} is {value}")
        return None
    if isinstance(value, Mapping):
        return {name: _known(part, f"{key}.{name}", lost) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_known(part, f"{key}[{index}]", lost) for index, part in enumerate(value)]
    return value


def _lines_until(path: Path, step: int) -> Iterator[str]:
    for number, line in enumerate(_lines(path), start=1):
        if line.endswith("\n") and _parse(line, path, number)["step"] <= step:
            yield line


def _lines(path: Path) -> list[str]:
    """Lines with their ends; only a line feed ends one, whatever else a text may hold."""
    with io.StringIO(_text(path, path) if path.exists() else "", "\n") as text:
        return list(text)


def _text(path: Path, again: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 at byte {error.start}; delete {again} and {AGAIN}"
        ) from error


def _parse(text: str, path: Path, line: int = 1, again: Path | None = None) -> Record:
    def refuse(constant: str) -> NoReturn:
        raise InputError(f"{path}:{line}: found {constant}; a record holds finite numbers only")

    try:
        record = json.loads(text.rstrip("\n"), parse_constant=refuse)
    except json.JSONDecodeError as error:
        where = line + error.lineno - 1
        raise InputError(
            f"{path}:{where}: not valid JSON ({error.msg}); delete {again or path} and {AGAIN}"
        ) from error
    if not isinstance(record, dict):
        raise InputError(f"{path}:{line}: found {type(record).__name__}, a record is an object")
    return record
