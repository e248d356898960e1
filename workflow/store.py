"""JSON values kept on disk by key, each in a file of its own."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class Store:
    """A cache that may be deleted at any time.

    A file holds the SHA-256 of key and value before the value, so one that was altered or cut off
    is made again. Where nothing can be written, nothing is kept.

    Args:
        folder: where the values are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 -- JSON
        """Return the value of a key; ``make`` returns it where it is not known yet."""
        path = self.folder / f"{_digest(key)}.json"
        with suppress(OSError, ValueError):
            seal, _, body = path.read_text("utf-8").partition("\n")
            if seal == _digest(f"{key}\n{body}"):
                return json.loads(body)
        value = make()
        with suppress(OSError):
            self._write(path, key, json.dumps(value))
        return value

    def forget_unused(self, days: float) -> None:
        """Remove the values that were not written or read for some days."""
        with suppress(OSError):
            for file in os.scandir(self.folder):
                if time.time() - max(file.stat().st_atime, file.stat().st_mtime) > days * 86400:
                    os.unlink(file)

    def _write(self, path: Path, key: str, body: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        seal = _digest(f"{key}\n{body}")
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{seal}\n{body}")
        os.replace(name, path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
