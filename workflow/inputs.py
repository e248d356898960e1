"""Inputs: the user's own files that a run names, and a hash of their contents.

A job runs again when a content changes. Times do not matter: a file that was only touched reruns
nothing, and an older one that takes its place is noticed. Files are read once, and again when a
size or a time has changed.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from tcsm import config
from tcsm.config.values import FOLDERS
from tcsm.errors import InputError
from workflow.files import CONFIG, PRODUCTS

# Arguments of parts, and plain keys, that may hold a path.
ARGUMENTS = ("path", "paths", "file", "files", "folder", "folders", "name")
KEYS = ("preferences", *FOLDERS)
OF_RUNS = {CONFIG, *(file for files in PRODUCTS.values() for file in files)}
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf")

Place = tuple[str, str]


def words(key: str, value: object) -> list[str]:
    """Return the words in the value of a key that may be paths."""
    return [value] if key in KEYS and isinstance(value, str) else [*_arguments(value)]


def _arguments(node: object) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _arguments(part)
    elif isinstance(node, dict):
        of_hydra = str(node.get("_target_", "hydra")).startswith("hydra")
        for key, value in node.items():
            if key in ARGUMENTS and not of_hydra:
                words = value if isinstance(value, list) else [value]
                yield from (word for word in words if isinstance(word, str))
            yield from _arguments(value)


def listed(files: Iterable[str]) -> list[str]:
    """The files that a rule can name as inputs; the hash knows them all.

    To Snakemake, words in braces are wildcards, and names that are no text are an error.
    """
    return [file for file in files if "{" not in file and file.isprintable()]


class Inputs:
    """The files on this machine that places name.

    Args:
        remember: keeps the hashes of files.
        made: the folder whose files the workflow makes; its rules know when these are others.
    """

    def __init__(self, remember: Callable[[str, Callable[[], str]], str], made: str) -> None:
        self._remember = remember
        self._made = Path(made).absolute()
        self._below = cache(self._list)

    def files(self, named: Iterable[Place]) -> tuple[str, ...]:
        """The files of some places, those of folders too, in the order of their names."""
        return tuple(sorted({file for key, word in named for file in self._below(key, word)}))

    def of_corpus(self, named: Iterable[Place], text: str) -> tuple[str, ...]:
        """The files that ``prepare`` reads: of a corpus those that it says to read.

        Args:
            named: the places of its configuration.
            text: all of it.
        """
        others = [(key, word) for key, word in named if key != "corpus"]
        found = self.files((key, word) for key, word in named if key == "corpus")
        own = (_read_by_corpus(text) or found) if found else ()
        return tuple(sorted({*self.files(others), *own}))

    def digest(self, files: Iterable[str]) -> str:
        """Return a hash of the names and contents of files; an empty text for no files.

        Raises:
            InputError: one cannot be read.
        """
        files = [*files]
        try:
            now = [(f, (stat := os.stat(f)).st_size, stat.st_mtime_ns) for f in files]
            hashed = lambda: _hash("\n".join(f"{file} {_sha256(file)}" for file in files))  # noqa: E731
            return self._remember(f"files {now}", hashed) if files else ""
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from None

    def _list(self, key: str, word: str) -> list[str]:
        """What lies at a place; nothing where it is another's name, such as one on the Hub."""
        path = Path(os.path.expanduser(word))
        try:
            if self._made in path.absolute().parents or not path.exists():
                return []
        except (OSError, ValueError):  # too long for a name, or one that the locale cannot say
            return []
        files = [path] if path.is_file() else [file for file in _below(path) if _read(key, file)]
        return [os.path.normpath(file) for file in files]


def _sha256(file: str) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _below(folder: Path) -> list[Path]:
    """The files of a folder and of those in it that are not hidden; links may lead in circles."""
    found, seen = [], set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    return [file for file in found if file.is_file()]


def _read(key: str, file: Path) -> bool:
    """Whether a file of a folder matters: of a run its products, of a tokenizer no weights."""
    if key in FOLDERS or (file.parent / CONFIG).exists():
        return file.name in OF_RUNS
    return key != "tokenizer" or file.suffix not in WEIGHTS


def _read_by_corpus(text: str) -> list[str]:
    """What a corpus says to read; nothing if it cannot be built, which its own job tells."""
    try:
        corpus: Any = config.build(OmegaConf.create(text).corpus)
        return [os.path.normpath(file) for file in getattr(corpus, "files", tuple)()]
    except InputError:
        return []
