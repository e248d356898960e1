"""A run that may be killed at any moment: its state and journals in a scratch folder.

The state records how long each journal was and a digest of it, so a restart cuts off what came
after it, and the journals end up byte for byte as if nothing had happened.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tcsm.errors import InputError
from tcsm.training import checkpoint
from tcsm.training.state import TrainState

JOURNALS = ("metrics.jsonl", "telemetry.jsonl")


@dataclass(frozen=True)
class Resumable:
    """The scratch folder of one run.

    Whoever appends to the journals there must flush every line.

    Attributes:
        folder: holds ``state.safetensors``, ``metrics.jsonl`` and ``telemetry.jsonl``.
        run: a fingerprint of the run's configuration; a state of another run is left aside.
        main: whether this process writes; the others only read.
    """

    folder: Path
    run: str
    main: bool = True

    @property
    def path(self) -> Path:
        """The state's file."""
        return self.folder / "state.safetensors"

    def begin(self, state: TrainState) -> None:
        """Takes up the run where it was left, or clears the folder for a new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lengths = self._restore(state)
        if not self.main:
            return
        for name in JOURNALS:
            with (self.folder / name).open("a") as journal:
                journal.truncate(lengths.get(name, 0))

    def save(self, state: TrainState) -> None:
        """Puts the present state in place of the former."""
        if self.main:
            lengths = {name: _secured(self.folder / name) for name in JOURNALS}
            facts: checkpoint.Meta = {"run": self.run, **lengths, **self._digests(lengths)}
            checkpoint.save(self.path, state.tensors(), facts)

    def _restore(self, state: TrainState) -> dict[str, int]:
        """Loads a state that fits; returns the lengths of its journals, empty for a new start."""
        if not self.path.exists():
            return {}
        try:
            tensors, meta = checkpoint.load(self.path)
            if meta.get("run") != self.run:
                raise InputError(f"{self.path} is of another configuration")
            lengths = {name: int(meta[name]) for name in JOURNALS}
            for name, found in self._digests(lengths).items():
                if found != meta.get(name):
                    raise InputError(f"{self.folder / name.split()[0]} has lost or altered lines")
            state.load(tensors)
        except InputError as error:
            self._say(f"{error}; ignored, training starts from step 0")
            return {}
        self._say(f"{self.path}: training goes on after step {state.step}")
        return lengths

    def _digests(self, lengths: Mapping[str, int]) -> dict[str, str]:
        """SHA-256 of the journals up to some lengths."""
        return {
            f"{name} sha256": hashlib.sha256(_head(self.folder / name, length)).hexdigest()
            for name, length in lengths.items()
        }

    def _say(self, message: str) -> None:
        """A notice on stderr, from one process only."""
        if self.main:
            print(f"tcsm: {message}", file=sys.stderr, flush=True)


def _head(path: Path, length: int) -> bytes:
    """The first bytes of a file, none if there is no file."""
    return path.read_bytes()[:length] if path.exists() else b""


def _secured(path: Path) -> int:
    """A journal's bytes, all of them on the disk: the state must not outlive its lines.

    Raises:
        InputError: the disk is full or may not be written.
    """
    try:
        with path.open("a") as journal:
            os.fsync(journal.fileno())
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); free some space"
        ) from error
    return path.stat().st_size
