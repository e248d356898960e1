"""Which files of a folder are text, and why the others are left out."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tcsm.data.encoding import HEAD, is_binary
from tcsm.errors import InputError

RECORDS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".feather")
COMPRESSED = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".tar")
OF_RECORDS = "files of records (JSON, CSV, Parquet)"
OF_ARCHIVES = "compressed files"
BINARY = "binary files"
EMPTY = "empty files"
ODD = "paths that are neither files nor folders"
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
            f"skipped {len(paths):,} {kind}, such as {shown(paths[0])}"
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


def shown(path: Path) -> str:
    """A path as a message shows it: in one line, whatever bytes its name has."""
    return str(path) if str(path).isprintable() else ascii(str(path))


def kind_of(file: Path) -> str | None:
    """What a file is instead of text, as a plural; None for text.

    Raises:
        InputError: it cannot be read.
    """
    if not file.is_file():
        return ODD
    suffix = file.suffix.lower()
    if suffix in RECORDS:
        return OF_RECORDS
    if suffix in COMPRESSED:
        return OF_ARCHIVES
    try:
        if not file.stat().st_size:
            return EMPTY
        with file.open("rb") as content:
            # What calls itself text and is none is an error of its reader, not left out.
            return BINARY if suffix != ".txt" and is_binary(content.read(HEAD)) else None
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
            self._folders.add(os.path.realpath(place))
            for path in self._visible(Path(place), names):
                self._take(path)
            folders[:] = [path.name for path in self._visible(Path(place), folders)]

    def _visible(self, place: Path, names: list[str]) -> Iterator[Path]:
        """Paths to go on with; links are put off until all else is there."""
        for name in sorted(names):
            path = place / name
            if name.startswith(".") or name in _LITTER:
                self.skipped["hidden files or folders"].append(path)
            elif path.is_symlink():
                self._links.append(path)
            elif os.path.realpath(path) in self._folders:
                self.skipped[_READ].append(path)
            else:
                yield path

    def _follow(self, link: Path) -> None:
        real = os.path.realpath(link)
        around = Path(os.path.realpath(link.parent)).is_relative_to(real)
        if not os.path.exists(link):
            self.skipped["links that lead nowhere"].append(link)
        elif around or real in self._folders or real in self.files:
            self.skipped[_READ].append(link)
        elif os.path.isdir(link):
            self._enter(link)
        else:
            self._take(link)

    def _take(self, file: Path) -> None:
        kind = "backup and temporary files" if file.name.endswith(_COPIES) else kind_of(file)
        if kind is None:
            self.files[os.path.realpath(file)] = file
        else:
            self.skipped[kind].append(file)


def _refuse(error: OSError) -> None:
    raise InputError(f"{shown(Path(error.filename))}: cannot be read: {error.strerror}") from error
