"""Which results Snakemake made here, and which were put here by others, such as `dvc checkout`.

Snakemake takes any file that exists for up to date, whatever its parameters were. A file was made
here if it has the time at which Snakemake saw it written or, since DVC replaces files by links and
links by copies, the content that it had then.

usage: python -m workflow.scripts.own SCALE     (from the top: all that is there is Snakemake's)
"""

import hashlib
import json
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tcsm.errors import InputError
from tcsm.io.atomic import write_atomic
from tcsm.io.layout import FILES
from tcsm.io.records import read_json
from workflow.files import CONFIG

RECORDS = Path(".snakemake/metadata")
NOTES = Path(".snakemake/contents.json")


def require_own(folder: Path) -> None:
    """Refuse records that Snakemake did not see written.

    Raises:
        InputError: there are some.
    """
    noted = _noted()
    foreign = [file.parent for file in _files(folder) if _foreign(file, noted)]
    if foreign:
        others = len({*foreign}) - 1
        raise InputError(
            f"{foreign[0]}: was not made here, nor {others} others; if they are those of "
            "dvc.lock, make checkout takes them over, else move them elsewhere"
        )


def note(folder: Path) -> None:
    """Note the contents of all records as made here."""
    found = {str(file): [_written(file), _digest(file)] for file in _files(folder)}
    write_atomic(NOTES, json.dumps({**_noted(), **found}).encode())


def remove_foreign_times(folder: Path) -> None:
    """Remove telemetry that is of other runs than those in a folder.

    DVC leaves such files where they are when it puts the files of other runs beside them.
    """
    for path in folder.rglob("*.telemetry.json"):
        try:
            read_json(path, ())  # compares the checksums of the files beside it
        except InputError:
            path.unlink()
            if path.name == "train.telemetry.json":
                path.with_name("telemetry.jsonl").unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """Return the records of all runs of a scale, its report and the checksums of token files."""
    records = [path for name in (CONFIG, *FILES.values()) for path in folder.rglob(name)]
    page = Path("reports", "" if folder.name == "default" else folder.name, "index.html")
    manifests = Path("results/manifests").rglob("*.sha256")
    return [*sorted(records), *filter(Path.exists, [page]), *sorted(manifests)]


def _noted() -> Mapping[str, list[object]]:
    """Return what was noted, if it can be read; without it every moved file is refused."""
    with suppress(OSError, ValueError):
        return dict(json.loads(NOTES.read_text("utf-8")))
    return {}


def _foreign(file: Path, noted: Mapping[str, list[object]]) -> bool:
    """Whether Snakemake has no record of a file, or saw another content written."""
    written = _written(file)
    if written is None or written == file.lstat().st_mtime:
        return written is None
    return noted.get(str(file)) != [written, _digest(file)]


def _written(file: Path) -> float | None:
    """Return when Snakemake saw a file written, if it did."""
    record = RECORDS / _record(file.as_posix())
    return json.loads(record.read_text("utf-8"))["endtime"] if record.exists() else None


def _digest(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def _record(name: str) -> str:
    """Return where Snakemake keeps the record of a file."""
    code = urlsafe_b64encode(name.encode()).decode()
    pieces = [code[start : start + 254] for start in range(0, len(code), 254)]
    return "/".join([*(f"@{piece}" for piece in pieces[:-1]), pieces[-1]])


if __name__ == "__main__":
    remove_foreign_times(Path("results") / sys.argv[1])
    note(Path("results") / sys.argv[1])
