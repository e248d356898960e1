"""A memory on the disk for what takes long to compose and depends on a few small files alone."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any


class Memo:
    """Key → a JSON value, kept as long as the contents of some files stay what they are.

    Args:
        path: where it is kept; a file that is not as it was written is as none.
        files: what every value depends on.
    """

    def __init__(self, path: Path, files: Iterable[Path]) -> None:
        digest = hashlib.sha256()
        for file in sorted(files):
            digest.update(f"{file}\n".encode() + file.read_bytes())
        self.path, self.basis = path, digest.hexdigest()
        self._values = self._load()
        self._known = len(self._values)

    def get(self, key: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401 -- JSON
        """The value of a key, made if it is not known yet."""
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]

    def save(self) -> None:
        """Keep what is new. Where nothing can be written, nothing is kept and nothing is lost."""
        if len(self._values) == self._known:
            return
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
            body = json.dumps(self._values)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"{self._seal(body)}\n{body}")
            os.replace(name, self.path)

    def _load(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            seal, _, body = self.path.read_text("utf-8").partition("\n")
            if seal == self._seal(body):
                return dict(json.loads(body))
        return {}

    def _seal(self, body: str) -> str:
        """Of values and of what they depend on: a text that was altered would be a wrong run."""
        return hashlib.sha256(f"{self.basis}\n{body}".encode()).hexdigest()
