"""What a corpus is made from: its configuration and the content of its files, as plain values.

Token files keep it in their header. So a run that is configured for another corpus is refused, and
the message says which key differs.
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

from tcsm.atomic import write_atomic
from tcsm.data.corpora.base import Corpus
from tcsm.errors import InputError

CONTENT = "content"
NOTES = Path("results/.scratch/contents")
# Where bytes come from, where they are kept and how they are had; a sha256 says which they are.
_ASIDE = ("cache", "opener", "url")
_SETTLED = 2.0  # seconds: a file may change again within them and keep its times

Source = Mapping[str, Any]


def source_of(corpus: Corpus) -> dict[str, Any]:
    """All that decides the text of a corpus: dotted keys and JSON values.

    The key "content" is the digest of the corpus's own files, absent if they are no longer there.
    """
    found = dict(_leaves("", _plain(corpus)))
    with suppress(InputError):
        if files := corpus.files():
            found[CONTENT] = digest_of(files)
    return dict(json.loads(json.dumps(found, default=_other)))


def difference(known: Source, wanted: Source) -> str | None:
    """Where two sources differ, as "KEY=KNOWN, wanted WANTED", if they do.

    A file may lie elsewhere if its content is the same, and may be missing where it lay.
    """
    local = CONTENT in known
    for key in sorted({*known, *wanted}):
        same = known.get(key) == wanted.get(key)
        if not same and key != CONTENT and not (local and _is_place(key)):
            return f"corpus.{key}={_shown(known, key)}, wanted {_shown(wanted, key)}"
    if not local or known[CONTENT] == wanted.get(CONTENT):
        return None
    return _other_text(known, wanted)


def _other_text(known: Source, wanted: Source) -> str | None:
    """Where other files lie, or that those of the same place changed; None if they are gone."""
    places = [key for key in wanted if _is_place(key)]
    for key in places:
        if os.path.abspath(str(known.get(key))) != os.path.abspath(str(wanted[key])):
            why = "of another" if CONTENT in wanted else "which does not exist or is no"
            return f"corpus.{key}={_shown(known, key)}, wanted {_shown(wanted, key)}, {why} text"
    where = [f"corpus.{key}={_shown(wanted, key)}" for key in places] or ["the corpus"]
    return f"{where[0]}, whose content has changed since" if CONTENT in wanted else None


def digest_of(files: Sequence[Path]) -> str:
    """The sha256 of the contents of some files, in their order.

    It is kept under the names, sizes and times of the files, so that they are read again only
    after a change.

    Raises:
        InputError: a file cannot be read.
    """
    try:
        states = [(os.path.abspath(file), file.stat()) for file in files]
        facts = [
            [path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
            for path, found in states
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
    latest = max(max(found.st_mtime, found.st_ctime) for _, found in states)
    if abs(time.time() - latest) > _SETTLED:
        with suppress(InputError):  # a folder that may not be written costs a second reading
            write_atomic(note, total.hexdigest().encode())
    return total.hexdigest()


def _plain(value: Any) -> Any:  # noqa: ANN401  whatever a configuration builds
    """Objects as mappings with their class and arguments, functions with their path."""
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
    """What JSON does not know: a path, or an object of which the class alone is known."""
    return str(value) if isinstance(value, Path) else _named(type(value), "_target_")


def _named(thing: Any, key: str = "path") -> dict[str, str]:  # noqa: ANN401
    """Where a class or function is defined, and its file's sha256 unless it is this package's."""
    found = {key: f"{thing.__module__}.{thing.__qualname__}"}
    if not thing.__module__.startswith("tcsm."):
        with suppress(OSError, TypeError):
            text = inspect.getsource(inspect.getmodule(thing) or thing)
            found["code"] = hashlib.sha256(text.encode()).hexdigest()[:12]
    return found


def _leaves(key: str, node: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Every value below a mapping, with its dotted key."""
    if not isinstance(node, dict):
        yield key, node
        return
    for name, child in node.items():
        yield from _leaves(f"{key}.{name}" if key else name, child)


def _is_place(key: str) -> bool:
    """Whether a key says where files lie: "path", or that of a corpus within a corpus."""
    return key == "path" or key.endswith("corpus.path")


def _shown(source: Source, key: str) -> str:
    return json.dumps(source[key]).strip('"') if key in source else "nothing"
