"""A run that may be killed at any moment: its state and journals in a scratch folder.

The state records how long each journal was and a digest of it, so a restart cuts off what came
after it, and the journals end up byte for byte as if nothing had happened.
"""

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tcsm.errors import InputError
from tcsm.training import checkpoint
from tcsm.training.checkpoint import Meta
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
        anywhere: whether something is so in any of the processes that share the run.
    """

    folder: Path
    run: str
    main: bool = True
    anywhere: Callable[[bool], bool] = bool

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
            with (self.folder / name).open("a", encoding="utf-8") as journal:
                journal.truncate(lengths.get(name, 0))

    def save(self, state: TrainState) -> None:
        """Puts the present state in place of the former."""
        if self.main:
            self.seal(state.tensors())

    def seal(self, tensors: Mapping[str, Tensor], **facts: int) -> None:
        """Writes the state's file, which says how long the journals are."""
        lengths = {name: _secured(self.folder / name) for name in JOURNALS}
        all_: Meta = {"run": self.run, **facts, **lengths, **self._digests(lengths)}
        checkpoint.save(self.path, tensors, all_)

    def read(self) -> tuple[dict[str, Tensor], Meta]:
        """What the last save left.

        Raises:
            InputError: it is not whole.
        """
        return checkpoint.load(self.path)

    def _restore(self, state: TrainState) -> dict[str, int]:
        """Loads a state that fits; returns the lengths of its journals, empty for a new start.

        What one process cannot read, none takes up.
        """
        tensors: dict[str, Tensor] = {}
        lengths: dict[str, int] = {}
        trouble = ""
        try:
            if self.path.exists():
                tensors, lengths = self._fitting(state)
        except InputError as error:
            trouble = str(error)
        if self.anywhere(bool(trouble)):
            trouble = trouble or f"{self.folder}: another process cannot read its state"
            self._say(f"{trouble}; ignored, training starts from step 0")
            return {}
        if tensors:
            state.load(tensors)
            self._say(f"{self.path}: training goes on after step {state.step}")
        return lengths

    def _digests(self, lengths: Mapping[str, int]) -> dict[str, str]:
        """SHA-256 of the journals up to some lengths."""
        return {
            f"{name} sha256": hashlib.sha256(_head(self.folder / name, length)).hexdigest()
            for name, length in lengths.items()
        }

    def _fitting(self, state: TrainState) -> tuple[dict[str, Tensor], dict[str, int]]:
        """A state of this run, and the lengths of its journals.

        Raises:
            InputError: it is damaged, or of another run or network.
        """
        tensors, meta = self.read()
        if meta.get("run") != self.run:
            raise InputError(f"{self.path} is of another configuration")
        lengths = {name: int(meta[name]) for name in JOURNALS}
        for name, found in self._digests(lengths).items():
            if found != meta.get(name):
                raise InputError(f"{self.folder / name.split()[0]} has lost or altered lines")
        state.require_fit(tensors)
        return tensors, lengths

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
        with path.open("a", encoding="utf-8") as journal:
            os.fsync(journal.fileno())
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); free some space"
        ) from error
    return path.stat().st_size
