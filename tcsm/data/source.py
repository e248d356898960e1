"""The source of a corpus: its configuration and the content of its files, as plain values.

Token files keep it in their header. So a run that is configured for another corpus is refused, and
the message names the key that differs.
"""

import hashlib
import inspect
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tcsm.data.corpora.base import Corpus
from tcsm.errors import InputError
from tcsm.io.atomic import write_atomic

CONTENT = "content"
NOTES = Path("results/.scratch/contents")
# Arguments that only say how bytes are fetched and cached; a sha256 identifies the bytes.
_ASIDE = ("cache", "opener", "url")
_SETTLED = 2.0  # seconds within which a file may change again and keep its times

Source = Mapping[str, Any]


def source_of(corpus: Corpus) -> dict[str, Any]:
    """Return all that decides the text of a corpus: dotted keys and JSON values.

    The key "content" is the digest of the corpus's own files, absent if they no longer exist.
    """
    values = dict(_leaves("", _plain(corpus)))
    with suppress(InputError):
        if files := corpus.files():
            values[CONTENT] = digest_of(files)
    return dict(json.loads(json.dumps(values, default=_other)))


def difference(known: Source, wanted: Source) -> str | None:
    """Return where two sources differ, as "KEY=KNOWN, wanted WANTED", or None.

    A file may have moved if its content is the same, and may be missing at its former place.
    """
    local = CONTENT in known
    for key in sorted({*known, *wanted}):
        same = known.get(key) == wanted.get(key)
        if not same and key != CONTENT and not (local and _is_place(key)):
            return f"corpus.{key}={_shown(known, key)}, wanted {_shown(wanted, key)}"
    if not local or known[CONTENT] == wanted.get(CONTENT):
        return None
    return _other_text(known, wanted)


def moved(known: Source, wanted: Source) -> list[str]:
    """Return the overrides that name the files of a known source where those of another are gone.

    Args:
        known: the source that a token file was made from.
        wanted: the source that a run is configured for.
    """
    if CONTENT in wanted or CONTENT not in known:
        return []
    return [f"corpus.{key}={known[key]}" for key in wanted if _is_place(key) and key in known]


def _other_text(known: Source, wanted: Source) -> str | None:
    """Return where other files lie, or that the files have changed; None if they are gone."""
    places = [key for key in wanted if _is_place(key)]
    for key in places:
        if os.path.abspath(str(known.get(key))) != os.path.abspath(str(wanted[key])):
            why = "of another" if CONTENT in wanted else "which does not exist or is no"
            return f"corpus.{key}={_shown(known, key)}, wanted {_shown(wanted, key)}, {why} text"
    where = [f"corpus.{key}={_shown(wanted, key)}" for key in places] or ["the corpus"]
    return f"{where[0]}, whose content has changed since" if CONTENT in wanted else None


def digest_of(files: Sequence[Path]) -> str:
    """Return the sha256 of the contents of some files, in their order.

    It is cached under the names, sizes and times of the files, so that files are read again only
    after a change.

    Raises:
        InputError: A file cannot be read.
    """
    try:
        states = [(os.path.abspath(file), file.stat()) for file in files]
        facts = [
            [path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
            for path, stat in states
        ]
        note = NOTES / hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        with suppress(OSError, ValueError):
            if len(kept := note.read_text("ascii")) == 64:
                return kept
        total = hashlib.sha256()
        for file in files:
            with file.open("rb") as content:
                total.update(hashlib.file_digest(content, "sha256").digest())
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error
    latest = max(max(stat.st_mtime, stat.st_ctime) for _, stat in states)
    if abs(time.time() - latest) > _SETTLED:
        with suppress(InputError):  # without a cache, the files are read again next time
            write_atomic(note, total.hexdigest().encode())
    return total.hexdigest()


def _plain(value: Any) -> Any:  # noqa: ANN401  any object
    """Return objects as mappings of class and arguments, functions as their path."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, partial):
        return {**_named(value.func), "args": _plain(value.args), **_plain(value.keywords)}
    if is_dataclass(value) or isinstance(value, Corpus):
        names = [part.name for part in fields(value)] if is_dataclass(value) else vars(value)
        kept = {key: getattr(value, key) for key in names if key[0] != "_" and key not in _ASIDE}
        return {**_named(type(value), "_target_"), **_plain(kept)}
    return _named(value) if hasattr(value, "__qualname__") else value


def _other(value: object) -> object:
    """Return a JSON value for a path, or the class of an object that JSON does not know."""
    return str(value) if isinstance(value, Path) else _named(type(value), "_target_")


def _named(thing: Any, key: str = "path") -> dict[str, str]:  # noqa: ANN401
    """Return the path of a class or function, and its file's sha256 if it is not in tcsm."""
    names = {key: f"{thing.__module__}.{thing.__qualname__}"}
    if not thing.__module__.startswith("tcsm."):
        with suppress(OSError, TypeError):
            text = inspect.getsource(inspect.getmodule(thing) or thing)
            names["code"] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return names


def _leaves(key: str, node: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield every value below a mapping, with its dotted key."""
    if not isinstance(node, dict):
        yield key, node
        return
    for name, child in node.items():
        yield from _leaves(f"{key}.{name}" if key else name, child)


def _is_place(key: str) -> bool:
    """Return whether a key is the path of files: "path", or that of an inner corpus."""
    return key == "path" or key.endswith("corpus.path")


def _shown(source: Source, key: str) -> str:
    return json.dumps(source[key]).strip('"') if key in source else "nothing"
