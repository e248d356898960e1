"""Which files of a folder are text, and why the others are left out."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tcsm.data.encoding import HEAD, is_binary, shown
from tcsm.errors import InputError

OF_RECORDS = "files of records (JSON, CSV, Parquet)"
OF_ARCHIVES = "compressed files"
BINARY = "binary files"
EMPTY = "empty files"
ODD = "paths that are neither files nor folders"
KINDS = {
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".ipynb", ".csv", ".tsv"), OF_RECORDS),
    **dict.fromkeys((".parquet", ".arrow", ".feather"), OF_RECORDS),
    **dict.fromkeys((".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar"), OF_ARCHIVES),
}
_READ = "links to what is read already"
_COPIES = ("~", "#", ".bak", ".orig", ".tmp", ".part", ".crdownload")
_LITTER = ("Thumbs.db", "desktop.ini", "__pycache__", "__MACOSX")


@dataclass(frozen=True)
class Listing:
    """Text files in the order of their paths.

    Attributes:
        files: that hold text.
        skipped: the paths left out, by kind.
    """

    files: tuple[Path, ...]
    skipped: dict[str, tuple[Path, ...]]

    def notes(self) -> list[str]:
        """One line a kind of what was left out."""
        return [
            f"skipped {kind}: {len(paths):,}, such as {shown(paths[0])}"
            for kind, paths in self.skipped.items()
        ]


def list_text(root: Path) -> Listing:
    """The text files below a folder; links are followed, each file and folder is taken once.

    Hidden files and folders below it, records, compressed and binary files are left out; that the
    folder itself is hidden, or lies in a hidden one, does not matter.

    Raises:
        InputError: a folder cannot be read.
    """
    walk = _Walk(root)
    return Listing(
        tuple(sorted(walk.files.values())),
        {kind: tuple(sorted(paths)) for kind, paths in sorted(walk.skipped.items())},
    )


def kind_of(file: Path) -> str | None:
    """What a file is instead of text, as a plural; None for text.

    Raises:
        InputError: it cannot be read.
    """
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            return ODD
        suffix = file.suffix.lower()
        if suffix in KINDS:
            return KINDS[suffix]
        if not found.st_size:
            return EMPTY
        if suffix == ".txt":
            return None  # what calls itself text and is none is an error of its reader
        with file.open("rb") as content:
            return BINARY if is_binary(content.read(HEAD)) else None
    except OSError as error:
        raise InputError(f"{shown(file)}: cannot be read: {error.strerror}") from error


class _Walk:
    """Goes through a folder, first without links, then through each link to what is new."""

    def __init__(self, root: Path) -> None:
        self.files: dict[str, Path] = {}  # by their real paths
        self.skipped: defaultdict[str, list[Path]] = defaultdict(list)
        self._folders: set[str] = set()
        self._links: list[Path] = []
        self._enter(root)
        while self._links:
            self._follow(self._links.pop(0))

    def _enter(self, folder: Path) -> None:
        for place, folders, names in os.walk(folder, onerror=_refuse):
            real = os.path.realpath(place)
            self._folders.add(real)
            for name in self._visible(place, names):
                self._take(Path(place, name), os.path.join(real, name))
            folders[:] = [
                name
                for name in self._visible(place, folders)
                if self._is_new(Path(place, name), os.path.join(real, name))
            ]

    def _visible(self, place: str, names: list[str]) -> Iterator[str]:
        """Names to go on with; links are put off until all else is there."""
        for name in sorted(names):
            if name.startswith(".") or name in _LITTER:
                self.skipped["hidden files or folders"].append(Path(place, name))
            elif os.path.islink(os.path.join(place, name)):
                self._links.append(Path(place, name))
            else:
                yield name

    def _follow(self, link: Path) -> None:
        real = os.path.realpath(link)
        if not os.path.exists(link):
            self.skipped["links that lead nowhere"].append(link)
        elif Path(os.path.realpath(link.parent)).is_relative_to(real):
            self.skipped[_READ].append(link)  # a loop
        elif self._is_new(link, real):
            if os.path.isdir(link):
                self._enter(link)
            else:
                self._take(link, real)

    def _is_new(self, path: Path, real: str) -> bool:
        """Whether nothing has been read there; else it is counted as skipped."""
        new = real not in self._folders and real not in self.files
        if not new:
            self.skipped[_READ].append(path)
        return new

    def _take(self, file: Path, real: str) -> None:
        kind = "backup and temporary files" if file.name.endswith(_COPIES) else kind_of(file)
        if kind is None:
            self.files[real] = file
        else:
            self.skipped[kind].append(file)


def _refuse(error: OSError) -> None:
    raise InputError(f"{shown(error.filename)}: cannot be read: {error.strerror}") from error
