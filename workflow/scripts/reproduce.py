"""A stage of dvc.yaml: ask Snakemake for some targets, unless results came from elsewhere.

What others put there, such as `dvc pull`, Snakemake takes for done with whatever parameters: DVC
would then write into dvc.lock what is not so. Such results are refused here.

usage: python -m workflow.scripts.reproduce SCALE [TARGET ...]     (from the top of the checkout)
"""

import json
import os
import sys
from base64 import urlsafe_b64encode
from pathlib import Path

from tcsm.errors import InputError
from tcsm.outcomes import FILES

RECORDS = Path(".snakemake/metadata")
ASK = "snakemake --cores all --workflow-profile workflow/profiles/default"


def require_own(folder: Path) -> None:
    """Refuse runs whose records are not those that Snakemake saw written.

    Raises:
        InputError: there are some.
    """
    names = ("config.yaml", *FILES.values())
    runs = {file.parent for name in names for file in folder.rglob(name) if _foreign(file)}
    if runs:
        raise InputError(
            f"{min(runs)}: was not made here, nor {len(runs) - 1} others; if they are those of "
            "dvc.lock, make checkout takes them over, else remove them"
        )


def _foreign(file: Path) -> bool:
    """Whether Snakemake knows nothing of a file, or saw it written at another time."""
    record = RECORDS / _record(file.as_posix())
    if not record.exists():
        return True
    found = file.lstat()
    if file.is_symlink() or found.st_nlink > 1:
        return False  # a link has the time of all that share its content
    return bool(json.loads(record.read_text("utf-8"))["endtime"] != found.st_mtime)


def _record(name: str) -> str:
    """Where Snakemake keeps the record of a file: its name in pieces that a folder can hold."""
    code = urlsafe_b64encode(name.encode()).decode()
    pieces = [code[start : start + 254] for start in range(0, len(code), 254)]
    return "/".join([*(f"@{piece}" for piece in pieces[:-1]), pieces[-1]])


def main(scale: str, targets: list[str]) -> None:
    """Become Snakemake."""
    require_own(Path("results") / scale)
    command = [*ASK.split(), "--config", f"scale={scale}", "--", *targets]
    os.execv(sys.executable, [sys.executable, "-m", *command])


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except InputError as error:
        sys.exit(f"tcsm: error: {error}")
