"""Which results Snakemake made here, and which were put here by others, such as `dvc checkout`.

Snakemake takes any file that exists for up to date, whatever its parameters were. A file was made
here if it has the time at which Snakemake saw it written or, since DVC replaces files by links and
links by copies, the content that it had then, which is noted when Snakemake ends.

usage: python -m workflow.scripts.own SCALE     (from the top: all that is there is Snakemake's)
"""

import hashlib
import json
import sys
from base64 import urlsafe_b64encode
from contextlib import suppress
from pathlib import Path

from tcsm.errors import InputError
from tcsm.io.atomic import write_atomic
from tcsm.io.layout import CONFIG, FILES
from tcsm.io.records import read_json

RECORDS, NOTES = Path(".snakemake/metadata"), Path(".snakemake/contents.json")


def require_own(scale: str) -> None:
    """Refuse records that Snakemake did not see written."""
    noted = _noted()
    foreign = [f.parent for f in _files(scale) if not (_fresh(f) or noted.get(str(f)) == _note(f))]
    if foreign:
        raise InputError(
            f"{foreign[0]}: was not made here, nor {len({*foreign}) - 1} others; if they are of "
            "dvc.lock, make checkout takes them over, else move them elsewhere"
        )


def note(scale: str) -> None:
    """Note the contents of the records that are as Snakemake saw them written."""
    notes = _noted() | {str(file): _note(file) for file in _files(scale) if _fresh(file)}
    write_atomic(NOTES, json.dumps(notes).encode())


def remove_foreign_times(folder: Path) -> None:
    """Remove telemetry of other runs, which DVC leaves where it puts the files of a run."""
    for path in folder.rglob("*.telemetry.json"):
        try:
            read_json(path, ())  # compares the checksums of the files beside it
        except InputError:
            path.unlink()
            if path.name == "train.telemetry.json":
                path.with_name("telemetry.jsonl").unlink(missing_ok=True)


def _files(scale: str) -> list[Path]:
    """Return the records of all runs of a scale, its report and the checksums of token files."""
    files = [f for name in (CONFIG, *FILES.values()) for f in Path("results", scale).rglob(name)]
    page = Path("reports", "" if scale == "default" else scale, "index.html")
    return [*sorted(files), *[page] * page.exists(), *Path("results/manifests").rglob("*.sha256")]


def _noted() -> dict[str, list[object]]:
    """Return what was noted, if it can be read; without it every moved file is refused."""
    with suppress(OSError, ValueError):
        return dict(json.loads(NOTES.read_text("utf-8")))
    return {}


def _note(file: Path) -> list[object]:
    return [_written(file), hashlib.md5(file.read_bytes()).hexdigest()]


def _fresh(file: Path) -> bool:
    return _written(file) == file.lstat().st_mtime


def _written(file: Path) -> float | None:
    """Return when Snakemake saw a file written, if it did."""
    code = urlsafe_b64encode(file.as_posix().encode()).decode()
    *folders, name = [code[start : start + 254] for start in range(0, len(code), 254)]
    record = RECORDS.joinpath(*(f"@{folder}" for folder in folders), name)
    return json.loads(record.read_text("utf-8"))["endtime"] if record.exists() else None


if __name__ == "__main__":
    remove_foreign_times(Path("results", sys.argv[1]))
    note(sys.argv[1])
