"""A stage of dvc.yaml: ask Snakemake for some targets, unless results came from elsewhere.

Snakemake takes any file that exists for up to date, whatever its parameters were, and DVC would
write it into dvc.lock beside parameters that did not make it. So results that others put here, as
`dvc checkout` does, are refused. A file was made here if it has the time at which Snakemake saw it
written or, since DVC replaces files by links and links by copies, the content that it had then,
which is noted when Snakemake ends.

usage: python -m workflow.scripts.reproduce SCALE TARGET ...     (from the top of the checkout)
       python -m workflow.scripts.reproduce SCALE        (after `snakemake --touch`: note contents)
"""

import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from snakemake.io import IOFile
from snakemake.persistence.file import FilePersistence

from tcsm.errors import InputError
from tcsm.io.atomic import write_atomic
from tcsm.io.layout import CONFIG, FILES
from tcsm.io.records import read_json

ASK = "-m snakemake --cores all --workflow-profile workflow/profiles/default --config"
NOTES = Path(".snakemake/contents.json")


def require_own(scale: str) -> None:
    """Refuse records that Snakemake did not see written."""
    notes = note(scale)
    foreign = [file.parent for file in _files(scale) if notes.get(str(file)) != _note(file)]
    if foreign:
        sys.exit(
            f"tcsm: error: {foreign[0]}: was not made here, nor {len({*foreign}) - 1} others; if "
            "they are of dvc.lock, make checkout takes them over, else move them elsewhere"
        )


def note(scale: str) -> dict[str, list[object]]:
    """Note the contents of the records that are as Snakemake saw them written; return all."""
    notes = {}
    with suppress(OSError, ValueError):  # without them every file that was moved is refused
        notes = json.loads(NOTES.read_text("utf-8"))
    notes |= {str(f): _note(f) for f in _files(scale) if _written(f) == f.lstat().st_mtime}
    write_atomic(NOTES, json.dumps(notes).encode())
    return notes


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


def _note(file: Path) -> list[object]:
    return [_written(file), hashlib.md5(file.read_bytes()).hexdigest()]


def _written(file: Path) -> float | None:
    """Return when Snakemake saw a file written, if it did."""
    record = FilePersistence().metadata(IOFile(file))
    return record and record.endtime


if __name__ == "__main__":
    scale, *targets = sys.argv[1:]
    if targets:
        require_own(scale)
        os.execv(sys.executable, [sys.executable, *ASK.split(), f"scale={scale}", "--", *targets])
    remove_foreign_times(Path("results", scale))
    note(scale)
