"""Loading with the libraries of Hugging Face: safe files only, and one line for any failure.

Their code raises whatever lies below it: errors of the disk, of JSON, of safetensors, missing
keys and attributes, panics of a Rust library, errors without a message. All become InputErrors.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tcsm.errors import InputError

MOST = 300  # characters of a reason: some errors list all models of the library
_ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit)
_PLAIN = (OSError, ValueError, RuntimeError)  # their message alone is a sentence


def reason(error: BaseException) -> str:
    """The first line of an error's message, with the error's class where it says too little."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = type(error).__name__
    if not lines:
        return kind
    line = lines[0] if len(lines[0]) <= MOST else lines[0][:MOST] + " …"
    return line if isinstance(error, _PLAIN) and line[-1] != ":" else f"{kind}: {line}"


@contextmanager
def one_line(place: str, folder: str | None = None) -> Iterator[None]:
    """Turn whatever is raised inside into an InputError.

    Args:
        place: how its message begins: the key, its value, and what failed.
        folder: where files were read from; a damaged one among them is named.

    Raises:
        InputError: for any exception, also those of compiled libraries; interrupts pass.
    """
    try:
        yield
    except (InputError, *_ENDS):
        raise
    except BaseException as error:  # a panic of a Rust library is no Exception
        damaged = _damaged(folder, error) if folder else None
        raise InputError(f"{place}: {f'{damaged}: ' if damaged else ''}{reason(error)}") from error


def from_pretrained(kind: Any, place: str, name: str, revision: str, **how: Any) -> Any:  # noqa: ANN401
    """What ``kind.from_pretrained`` makes of a folder or of a repository of the Hub.

    Args:
        kind: a class of the library ``transformers``.
        place: how the message of an error begins, see `one_line`.
        name: the folder, "~" allowed, or the repository.
        revision: the branch, tag or commit on the Hub.
        how: further arguments; no code of a repository is ever run.

    Raises:
        InputError: it cannot be loaded.
    """
    path = os.path.expanduser(name)
    with one_line(place, path), quiet():
        if path.startswith(("/", "./", "../")) and not os.path.isdir(path):
            raise OSError("no such folder")
        return kind.from_pretrained(path, revision=revision, trust_remote_code=False, **how)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the tables and progress bars of ``transformers`` off the console."""
    from transformers import utils  # noqa: PLC0415  seconds to load

    logging: Any = utils.logging  # untyped
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _damaged(folder: str, error: BaseException) -> str | None:
    """The file of a folder that an error is about, if the error's message lacks its name."""
    if not os.path.isdir(folder):
        return None
    for file in sorted(os.listdir(folder)):
        path = os.path.join(folder, file)
        if file not in str(error) and os.path.isfile(path) and _unreadable(path, error):
            return path
    return None


def _unreadable(path: str, error: BaseException) -> bool:
    """Whether a file of tensors or a tokenizer cannot be opened, or has the text that failed."""
    from safetensors import safe_open  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415

    failed = getattr(error, "doc", None)  # the text that is no JSON
    try:
        if failed:
            with open(path, encoding="utf-8", errors="replace") as stream:
                return path.endswith(".json") and stream.read() == failed
        if path.endswith(".safetensors"):
            with safe_open(path, "pt"):
                return False
        if path.endswith("tokenizer.json"):
            Tokenizer.from_file(path)
    except BaseException as found:
        if isinstance(found, _ENDS):
            raise
        return True
    return False
