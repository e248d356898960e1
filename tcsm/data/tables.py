"""Rows of files: JSON lines, CSV, lines of text, Parquet, Arrow, folders that `datasets` saved."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from tcsm.data.encoding import decode, shown
from tcsm.data.jsonl import Object, lines, read_objects
from tcsm.data.packed import inner_suffix
from tcsm.errors import InputError
from tcsm.huggingface import one_line

LINES = (".jsonl", ".ndjson", ".json")
TABLES = (".parquet", ".arrow")
SHEETS = (".csv", ".tsv")
KNOWN = LINES + TABLES + SHEETS
KEY = "corpus.path"
_SPLIT = re.compile(r"(train|valid|validation|val|dev|test)(?![a-z])")
_NAMES = {"validation": "valid", "val": "valid", "dev": "valid"}


def rows(path: Path, columns: Sequence[str], key: str = KEY) -> Iterator[tuple[str, Object]]:
    """Yield the rows of a file, each with its place; of plain text a line, the only column.

    Args:
        path: The file.
        columns: The columns that are needed; others may be left out.
        key: Key of the configuration that names the file.

    Raises:
        InputError: The file cannot be read, lacks a column, or needs a package.
    """
    kind = inner_suffix(path)
    if kind in TABLES:
        yield from _table(path, kind, columns, key)
    elif kind in LINES:
        yield from read_objects(path, key, columns)
    elif kind in SHEETS:
        yield from _sheet(path, kind, columns, key)
    elif len(columns) > 1:
        raise InputError(f"{path}: lines of text have one column, found {', '.join(columns)}")
    else:
        for where, line in _lines(path, key):
            yield where, {columns[0]: line.rstrip("\r\n")}


def _lines(path: Path, key: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines(path, key), start=1):
        where = f"{path}:{number}"
        yield where, decode(line, path, where)


def _sheet(
    path: Path, kind: str, columns: Sequence[str], key: str
) -> Iterator[tuple[str, Object]]:
    """Yield the rows of a CSV or TSV file, whose first line names the columns.

    Columns that are numbers, from 1, are those of a file without such a line.
    """
    csv.field_size_limit(2**31 - 1)
    texts = (line for _, line in _lines(path, key))
    with one_line(f"{path}: cannot be read ({key})"):
        names = None
        if all(map(str.isdecimal, columns)):
            names = [str(number) for number in range(1, 1 + max(map(int, columns)))]
        reader = csv.DictReader(texts, names, delimiter="," if kind == ".csv" else "\t")
        _require(path, reader.fieldnames or [], columns, "; numbers count columns without names")
        for row in reader:
            yield f"{path}:{reader.line_num}", row


def sources(path: Path, key: str = KEY) -> dict[str, list[Path]]:
    """Return the files of each split; those of a folder that names no split are "train".

    Args:
        path: A file or folder.
        key: Key of the configuration that names it.

    Raises:
        InputError: There is no such file or folder, or none that can be read.
    """
    if not path.exists():
        raise InputError(f"{shown(path)}: no such file or folder ({key})")
    if path.is_file():
        return {"train": [path]}
    if (path / "dataset_dict.json").is_file():
        names = _json(path / "dataset_dict.json", "splits")
        return {_NAMES.get(name, name): _saved(path / name) for name in names}
    if (path / "state.json").is_file():
        return {"train": _saved(path)}
    return _listed(path, key)


def _listed(folder: Path, key: str) -> dict[str, list[Path]]:
    """Return the files of rows below a folder, by the split that their names begin with."""
    parts: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*")):
        if inner_suffix(file) in KNOWN and file.is_file():
            name = _SPLIT.match(str(file.relative_to(folder))) or _SPLIT.match(file.name)
            split = name[1] if name else "train"
            parts.setdefault(_NAMES.get(split, split), []).append(file)
    if not parts:
        raise InputError(f"{shown(folder)}: holds no file of {', '.join(KNOWN)} ({key})")
    return parts


def _saved(folder: Path) -> list[Path]:
    """Return the Arrow files of a folder that `Dataset.save_to_disk` wrote."""
    if _json(folder / "state.json", "_indices_files", []):
        raise InputError(f"{folder}: rows in an order of its own; save it after flatten_indices()")
    return [folder / part["filename"] for part in _json(folder / "state.json", "_data_files")]


def _json(path: Path, key: str, *default: Any) -> Any:  # noqa: ANN401  any JSON
    with one_line(f"{path}: cannot be read ({KEY})"):
        facts = json.loads(path.read_bytes())
        return facts.get(key, *default) if default else facts[key]


def _table(
    path: Path, kind: str, columns: Sequence[str], key: str
) -> Iterator[tuple[str, Object]]:
    """Yield the rows of a Parquet or Arrow file, batch by batch."""
    try:
        import pyarrow  # noqa: PLC0415  an extra of the package
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise InputError(f"{path}: a {kind} file needs: pip install -e '.[tables]'") from error
    number = count(1)
    with one_line(f"{path}: cannot be read ({key})"):
        if kind == ".parquet":
            file = parquet.ParquetFile(path)
            _require(path, file.schema_arrow.names, columns)
            batches = file.iter_batches(columns=[*columns])
        else:
            content = pyarrow.memory_map(str(path))
            file = pyarrow.ipc.open_stream(content)
            _require(path, file.schema.names, columns)
            batches = (batch.select([*columns]) for batch in file)
        for batch in batches:
            for row in batch.to_pylist():
                yield f"{path}, row {next(number)}", row


def _require(path: Path, names: Sequence[str], columns: Sequence[str], more: str = "") -> None:
    for column in columns:
        if column not in names:
            listed = ", ".join(f"{name:.40}" for name in names)
            raise InputError(f"{path}: no column {column!r}; its columns are {listed}{more}")
