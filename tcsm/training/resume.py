"""Checkpoints of a running training: state and journals in a scratch folder.

The state records the length and a digest of each journal. A restart truncates the journals to that
length, so that they end byte for byte as without an interruption. The state also records the
values that decide the run: the state of another run is set aside, and taken back when that run
returns.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from tcsm.errors import InputError
from tcsm.io import renamed
from tcsm.io.layout import JOURNALS
from tcsm.training import checkpoint
from tcsm.training.aside import PREFIX, aside, keep, set_aside, take_back
from tcsm.training.checkpoint import Meta
from tcsm.training.identity import Identity, OtherRunError, Value
from tcsm.training.state import TrainState

STEPS = "trainer.steps"


@dataclass(frozen=True)
class Saved:
    """The content of the scratch folder.

    Attributes:
        tensors: Tensors of the state if it fits, else empty.
        meta: Metadata of its file.
        trouble: Why an existing state does not fit.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    meta: Meta = field(default_factory=dict)
    trouble: str = ""

    @property
    def lengths(self) -> dict[str, int]:
        """Return the length of each journal."""
        return {name: int(self.meta[name]) for name in JOURNALS}

    @property
    def values(self) -> dict[str, Value]:
        """Return the values that decided the run, by key; empty if they were not saved."""
        return values_of(self.meta)


@dataclass(frozen=True)
class CheckpointManager:
    """Save and resume the state of one run in its scratch folder.

    Code that appends to the journals must flush every line.

    Attributes:
        folder: Holds ``state.safetensors``, ``metrics.jsonl`` and ``telemetry.jsonl``.
        run: Identity of the run; a state of another run is set aside.
        main: Whether this process writes; other processes only read.
        anywhere: Returns whether a flag is true in any process of the run.
        changes: "after step 4: trainer.steps was 4, now 8", one for each resume with other values.
    """

    folder: Path
    run: Identity
    main: bool = True
    anywhere: Callable[[bool], bool] = bool
    changes: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Return the file of the state."""
        return self.folder / "state.safetensors"

    def resume(self, state: TrainState) -> None:
        """Resume the run where it stopped, or clear the folder for a new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lengths = self._restore(state)
        if not self.main:
            return
        for name in JOURNALS:
            with (self.folder / name).open("a", encoding="utf-8") as journal:
                journal.truncate(lengths.get(name, 0))

    def change_over(self, state: TrainState) -> None:
        """Put this run's set-aside state in the place of another run's, without loading it."""
        saved = self._look(state)
        if self.main and not saved.tensors:
            self._exchange(saved, state.optim.steps)

    def save(self, state: TrainState) -> None:
        """Save the present state in place of the former."""
        if self.main:
            self.seal(state.tensors(), step=state.step)

    def seal(self, tensors: Mapping[str, Tensor], **facts: int) -> None:
        """Write the state's file with the lengths of the journals."""
        lengths = {name: _secured(self.folder / name) for name in JOURNALS}
        meta: Meta = {"run": self.run.digest, "values": self.run.text}
        meta["changes"] = json.dumps(self.changes)
        checkpoint.save(self.path, tensors, {**meta, **facts, **lengths, **self._digests(lengths)})

    def read(self, state: TrainState) -> tuple[dict[str, Tensor], Meta]:
        """Return tensors and metadata of the last save.

        Raises:
            InputError: The file is damaged.
            OtherRunError: It belongs to a run that this one cannot resume.
        """
        tensors, meta = checkpoint.load(self.path)
        self.require_own(meta, state)
        return tensors, meta

    def require_own(self, meta: Meta, state: TrainState) -> None:
        """Check the identity of a saved run against this one's.

        Raises:
            OtherRunError: It differs in more than rounding and schedule, or has no steps left.
        """
        if self._fits(meta, state.optim.steps) and not self._is_second(meta):
            return
        others = values_of(meta)
        keys = self.run.differing(others)
        words = self.run.words(others, keys) if others else "an earlier version wrote it"
        after = f" after step {meta['step']}" if "step" in meta else ""
        text = f"{self.path}: its state{after} is of another run ({words})"
        raise OtherRunError(text, str(meta.get("run", "")))

    def _restore(self, state: TrainState) -> Mapping[str, int]:
        """Load a state that fits; return the lengths of its journals, empty for a new start.

        A state that one process cannot read is loaded by none.
        """
        saved = self._look(state)
        if self.anywhere(not saved.tensors):
            words = self._exchange(saved, state.optim.steps) if self.main else ""
            self.anywhere(False)  # all files are in their places
            saved = self._look(state)
            lost = self.anywhere(not saved.tensors)
            if words:
                self._say(f"{words}; training starts from step 0" if lost else words)
            if lost:
                return {}
        state.load(saved.tensors)
        changed = self._changed(saved, state)
        self._say(f"{self.path}: training goes on after step {state.step}{changed}")
        return saved.lengths

    def _changed(self, saved: Saved, state: TrainState) -> str:
        """Record and return how this run differs from when its state was saved."""
        self.changes[:] = json.loads(str(saved.meta["changes"]))
        keys = self.run.differing(saved.values)
        if not keys:
            return ""
        words = self.run.words(saved.values, keys)
        self.changes.append(f"after step {state.step}: {words}")
        steps, before = state.optim.steps, saved.values.get(STEPS)
        if self.main and before == state.step:  # the finished run may be wanted again
            keep(self.folder, self._files(self.folder), str(saved.meta["run"]))
        if isinstance(before, int) and state.optim.reschedules(before, state.step):
            words += f"; the learning rate follows the schedule of {steps} steps from here on, so "
            words += f"this is not the run that {steps} steps from the start give"
        return f" with its weights, optimizer and averages: {words}"

    def _exchange(self, saved: Saved, steps: int) -> str:
        """Set an unfitting state aside and take a fitting one back; return a message on it."""
        words = ""
        if self.path.exists():
            label = str(saved.meta.get("run", "damaged"))
            place = set_aside(self.folder, self._files(self.folder), label)
            trouble = saved.trouble or f"{self.folder}: another process cannot read its state"
            words = f"{trouble}; set aside in {place}"
        own = self.spare(steps)
        if own is not None:
            take_back(self.folder, self._files(own), own)
        return words

    def spare(self, steps: int) -> Path | None:
        """Return the folder of a set-aside state that fits: this run's own, else the last."""
        states = self.folder.glob(f"{PREFIX}*/{self.path.name}")
        facts = {state.parent: checkpoint.facts(state) for state in states}
        fitting = [place for place, meta in facts.items() if self._fits(meta, steps)]
        own = aside(self.folder, self.run.digest)
        return max(fitting, key=lambda it: (it == own, int(facts[it]["step"])), default=None)

    def _fits(self, meta: Meta, steps: int) -> bool:
        """Return whether a run of so many steps can resume a saved one."""
        if "step" not in meta or "values" not in meta:
            return False
        keys = self.run.differing(values_of(meta))
        return not keys or (self.run.can_resume(keys) and int(meta["step"]) < steps)

    def _is_second(self, meta: Meta) -> bool:
        """Return whether a saved run differs from this one, whose own state was set aside."""
        own = aside(self.folder, self.run.digest) / self.path.name
        return own.exists() and bool(self.run.differing(values_of(meta)))

    def _files(self, folder: Path) -> list[str]:
        """Return the names of all files of a state, that of the state itself last."""
        parts = sorted(path.name for path in folder.glob("state-*.safetensors"))
        return [*JOURNALS, *parts, self.path.name]

    def _digests(self, lengths: Mapping[str, int]) -> dict[str, str]:
        """Return the SHA-256 of the journals up to some lengths."""
        return {
            f"{name} sha256": hashlib.sha256(_head(self.folder / name, length)).hexdigest()
            for name, length in lengths.items()
        }

    def _look(self, state: TrainState) -> Saved:
        """Return the content of the folder."""
        if not self.path.exists():
            return Saved()
        try:
            tensors, meta = self.read(state)
            saved = Saved(tensors, meta)
            for name, value in self._digests(saved.lengths).items():
                if value != meta.get(name):
                    where = self.folder / name.split()[0]
                    raise InputError(f"{where} has lost or altered lines")
            state.require_fit(tensors)
        except OtherRunError as error:
            return Saved(meta={"run": error.run}, trouble=str(error))
        except InputError as error:
            return Saved(trouble=str(error))
        return saved

    def _say(self, message: str) -> None:
        """Print a notice on stderr, from the main process alone."""
        if self.main:
            print(f"tcsm: {message}", file=sys.stderr, flush=True)


def values_of(meta: Meta) -> dict[str, Value]:
    """Return the values that decided a saved run, by key; empty if they were not saved."""
    values: dict[str, Value] = json.loads(renamed.current(str(meta.get("values", "{}"))))
    return values


def _head(path: Path, length: int) -> bytes:
    """Return the first bytes of a file, none if there is no file."""
    return path.read_bytes()[:length] if path.exists() else b""


def _secured(path: Path) -> int:
    """Write a journal to the disk, before the state that refers to it; return its length.

    Raises:
        InputError: The disk is full or cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as journal:
            os.fsync(journal.fileno())
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); free some space"
        ) from error
    return path.stat().st_size
