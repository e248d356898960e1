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


def keep(folder: Path, names: Sequence[str], label: str) -> Path:
    """Puts the files that exist there, too; returns where that is."""
    place = aside(folder, label)
    _copy(folder, place, names)
    return place


def set_aside(folder: Path, names: Sequence[str], label: str) -> Path:
    """Moves the files that exist out of the way; returns where they are now."""
    place = keep(folder, names, label)
    _remove(folder, names)
    return place


def take_back(folder: Path, names: Sequence[str], place: Path) -> None:
    """Moves files that were set aside back to where they were."""
    _copy(place, folder, names)
    _remove(place, names)
    place.rmdir()


def _copy(source: Path, target: Path, names: Sequence[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in (name for name in names if (source / name).exists()):
        _put(source / name, target / name)


def _remove(folder: Path, names: Sequence[str]) -> None:
    for name in reversed(names):
        (folder / name).unlink(missing_ok=True)


def _put(source: Path, target: Path) -> None:
    """Puts a file at a second place, as a second name of it where the file system knows such."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copy2(source, partial)
    os.replace(partial, target)
