"""Files of the user that a run names, and a hash of what they hold.

A job runs again when a content changes. Times do not matter: a file that was only touched reruns
nothing, and an older one that takes its place is noticed.
"""

import hashlib
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from omegaconf import OmegaConf

from tcsm import config
from tcsm.config.values import FOLDERS
from tcsm.errors import InputError
from tcsm.io.layout import CONFIG, PRODUCTS

OF_RUNS = {CONFIG, *(file for files in PRODUCTS.values() for file in files)}
WEIGHTS = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".onnx", ".gguf"}


def files(paths: Iterable[tuple[str, str]], made: str) -> list[str]:
    """Return the files at some paths, but for a folder that the workflow makes, whose rules know.

    A word may be another name, such as one on the Hub: then there are none.
    """
    names: set[str] = set()
    for key, word in paths:
        with suppress(OSError, ValueError):  # too long for a name, or not of the locale
            path = Path(os.path.expanduser(word))
            if Path(made).absolute() not in path.absolute().parents:
                below = (f for f in path.rglob("*") if f.is_file() and _counts(key, f, path))
                names |= {os.path.normpath(f) for f in ([path] if path.is_file() else below)}
    return sorted(names)


def _counts(key: str, file: Path, path: Path) -> bool:
    """Whether a file matters: of a run its products, of a tokenizer no weights, nothing hidden."""
    if any(part.startswith(".") for part in file.relative_to(path).parts):
        return False
    if key in FOLDERS or (file.parent / CONFIG).exists():
        return file.name in OF_RUNS
    return key != "tokenizer" or file.suffix not in WEIGHTS


def read_by(stage: str, text: str, paths: Collection[tuple[str, str]], made: str) -> list[str]:
    """Return the files of the user that a stage reads; of a corpus in ``prepare`` alone."""
    own = files((path for path in paths if path[0] == "corpus" and stage == "prepare"), made)
    with suppress(InputError):  # it says itself what it reads; if it cannot, its job tells why
        corpus = config.build(OmegaConf.create(text).corpus) if own else None
        own = [os.path.normpath(file) for file in getattr(corpus, "files", tuple)()] or own
    return sorted({*own, *files((path for path in paths if path[0] != "corpus"), made)})


def digest(names: Iterable[str | Path]) -> str:
    """Return a hash of names and contents of files."""
    sha256 = hashlib.sha256()
    for name in names:
        with open(name, "rb") as content:
            sha256.update(os.fsencode(name) + hashlib.file_digest(content, "sha256").digest())
    return sha256.hexdigest()[:16]
