"""List the text files of a folder, and why the others are left out."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tcsm.data.encoding import HEAD, is_binary, shown
from tcsm.data.packed import inner_suffix
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
        files: The text files.
        skipped: The paths left out, by kind.
    """

    files: tuple[Path, ...]
    skipped: dict[str, tuple[Path, ...]]

    def notes(self) -> list[str]:
        """Return one line for each kind that was left out."""
        return [
            f"skipped {kind}: {len(paths):,}, such as {shown(paths[0])}"
            for kind, paths in self.skipped.items()
        ]


def list_text(root: Path) -> Listing:
    """Return the text files below a folder; links are followed, each file is taken once.

    Hidden files and folders below it, records, compressed and binary files are left out; the
    folder itself may be hidden, or lie in a hidden one.

    Raises:
        InputError: A folder cannot be read.
    """
    walk = _Walk(root)
    return Listing(
        tuple(sorted(walk.files.values())),
        {kind: tuple(sorted(paths)) for kind, paths in sorted(walk.skipped.items())},
    )


def kind_of(file: Path) -> str | None:
    """Return the kind of a file that is not text, as a plural; None for text.

    Raises:
        InputError: It cannot be read.
    """
    try:
        state = file.stat()
        if not stat.S_ISREG(state.st_mode):
            return ODD
        suffix, inner = file.suffix.lower(), inner_suffix(file)
        if suffix in KINDS and inner != ".txt":
            return KINDS[suffix]
        if not state.st_size:
            return EMPTY
        if inner == ".txt":
            return None  # a text file by name; reading it reports errors
        with file.open("rb") as content:
            return BINARY if is_binary(content.read(HEAD)) else None
    except OSError as error:
        raise InputError(f"{shown(file)}: cannot be read: {error.strerror}") from error


class _Walk:
    """A walk through a folder, first without links, then through each link to new files."""

    def __init__(self, root: Path) -> None:
        self.files: dict[str, Path] = {}  # by real path
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
        """Return names to continue with; links are deferred until all else is listed."""
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
        """Return whether a folder has not been read; else count it as skipped."""
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
