"""Files that another run would replace: moved into a folder beside them, and back again.

Killed at any moment, one of the two places has all of them: the last name of a list is that of the
file that makes the others valid. It is put last and removed first.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

PREFIX = "set-aside-"


def aside(folder: Path, label: str) -> Path:
    """Where the files of a run go, by the digest of what decides it."""
    return folder / f"{PREFIX}{label[:8]}"


def set_aside(folder: Path, names: Sequence[str], label: str) -> Path:
    """Moves the files that exist out of the way; returns where they are now."""
    place = aside(folder, label)
    _move(folder, place, names)
    return place


def take_back(folder: Path, names: Sequence[str], label: str) -> None:
    """Moves the files of a run back to where they were."""
    place = aside(folder, label)
    _move(place, folder, names)
    place.rmdir()


def _move(source: Path, target: Path, names: Sequence[str]) -> None:
    existing = [name for name in names if (source / name).exists()]
    target.mkdir(parents=True, exist_ok=True)
    for name in existing:
        _copy(source / name, target / name)
    for name in reversed(existing):
        (source / name).unlink()


def _copy(source: Path, target: Path) -> None:
    """Puts a file at a second place, as a second name of it where the file system knows such."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copy2(source, partial)
    os.replace(partial, target)
