"""Set files of one run aside in a folder beside them, and take them back.

After a kill at any moment, one of the two places has all of them: the last name of a list is the
file that makes the others valid. It is written last and removed first.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

PREFIX = "set-aside-"


def aside(folder: Path, label: str) -> Path:
    """Return the folder for the files of a run with this digest."""
    return folder / f"{PREFIX}{label[:8]}"


def keep(folder: Path, names: Sequence[str], label: str) -> Path:
    """Copy the files that exist to the folder of a run; return that folder."""
    place = aside(folder, label)
    _copy(folder, place, names)
    return place


def set_aside(folder: Path, names: Sequence[str], label: str) -> Path:
    """Move the files that exist to the folder of a run; return that folder."""
    place = keep(folder, names, label)
    _remove(folder, names)
    return place


def take_back(folder: Path, names: Sequence[str], place: Path) -> None:
    """Move files from a folder of set-aside files back."""
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
    """Hard-link a file to a second place; copy it where the file system has no hard links."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copy2(source, partial)
    os.replace(partial, target)
