"""A run that may be killed at any moment: its state and journals in a scratch folder.

The state records how long each journal was and a digest of it, so a restart cuts off what came
after it, and the journals end up byte for byte as if nothing had happened. It also records what
decides the run, value by value: the state of another run is set aside, and comes back with it.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from tcsm import renamed
from tcsm.errors import InputError
from tcsm.training import checkpoint
from tcsm.training.aside import PREFIX, aside, keep, set_aside, take_back
from tcsm.training.checkpoint import Meta
from tcsm.training.identity import Identity, OtherRunError, Value
from tcsm.training.state import TrainState

JOURNALS = ("metrics.jsonl", "telemetry.jsonl")
STEPS = "trainer.steps"


@dataclass(frozen=True)
class Saved:
    """What lies in the scratch folder.

    Attributes:
        tensors: of the state that fits; empty if there is none.
        meta: what its file says of it.
        trouble: why the state that is there does not fit.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    meta: Meta = field(default_factory=dict)
    trouble: str = ""

    @property
    def lengths(self) -> dict[str, int]:
        """Of its journals."""
        return {name: int(self.meta[name]) for name in JOURNALS}

    @property
    def values(self) -> dict[str, Value]:
        """What decided the run, by key; empty if it does not say."""
        return values_of(self.meta)


@dataclass(frozen=True)
class CheckpointManager:
    """The scratch folder of one run.

    Whoever appends to the journals there must flush every line.

    Attributes:
        folder: holds ``state.safetensors``, ``metrics.jsonl`` and ``telemetry.jsonl``.
        run: what decides the run; a state of another one is set aside.
        main: whether this process writes; the others only read.
        anywhere: whether something is so in any of the processes that share the run.
        changes: "after step 4: trainer.steps was 4, now 8", for each time that it went on so.
    """

    folder: Path
    run: Identity
    main: bool = True
    anywhere: Callable[[bool], bool] = bool
    changes: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The state's file."""
        return self.folder / "state.safetensors"

    def resume(self, state: TrainState) -> None:
        """Takes up the run where it was left, or clears the folder for a new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lengths = self._restore(state)
        if not self.main:
            return
        for name in JOURNALS:
            with (self.folder / name).open("a", encoding="utf-8") as journal:
                journal.truncate(lengths.get(name, 0))

    def change_over(self, state: TrainState) -> None:
        """Puts the own state in the place of another run's, without taking it up."""
        saved = self._look(state)
        if self.main and not saved.tensors:
            self._exchange(saved, state.optim.steps)

    def save(self, state: TrainState) -> None:
        """Puts the present state in place of the former."""
        if self.main:
            self.seal(state.tensors(), step=state.step)

    def seal(self, tensors: Mapping[str, Tensor], **facts: int) -> None:
        """Writes the state's file, which says how long the journals are."""
        lengths = {name: _secured(self.folder / name) for name in JOURNALS}
        own: Meta = {"run": self.run.digest, "values": self.run.text}
        own["changes"] = json.dumps(self.changes)
        checkpoint.save(self.path, tensors, {**own, **facts, **lengths, **self._digests(lengths)})

    def read(self, state: TrainState) -> tuple[dict[str, Tensor], Meta]:
        """What the last save left.

        Raises:
            InputError: it is not whole.
            OtherRunError: it is of a run that this one may not go on from.
        """
        tensors, meta = checkpoint.load(self.path)
        self.require_own(meta, state)
        return tensors, meta

    def require_own(self, meta: Meta, state: TrainState) -> None:
        """Holds what decided a saved run against what decides this one.

        Raises:
            OtherRunError: it differs in more than rounding and schedule, or has no step to go.
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
        """Loads a state that fits; returns the lengths of its journals, empty for a new start.

        What one process cannot read, none takes up.
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
        """Notes what is other than when the state was saved; says it, and what follows from it."""
        self.changes[:] = json.loads(str(saved.meta["changes"]))
        keys = self.run.differing(saved.values)
        if not keys:
            return ""
        words = self.run.words(saved.values, keys)
        self.changes.append(f"after step {state.step}: {words}")
        steps, before = state.optim.steps, saved.values.get(STEPS)
        if self.main and before == state.step:  # the end of a run, which may be wanted once more
            keep(self.folder, self._files(self.folder), str(saved.meta["run"]))
        if isinstance(before, int) and state.optim.reschedules(before, state.step):
            words += f"; the learning rate follows the schedule of {steps} steps from here on, so "
            words += f"this is not the run that {steps} steps from the start give"
        return f" with its weights, optimizer and averages: {words}"

    def _exchange(self, saved: Saved, steps: int) -> str:
        """Sets a state that does not fit aside and takes one back that does; says what it did."""
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
        """A folder of a state that was set aside and may be taken up: its own, else the last."""
        states = self.folder.glob(f"{PREFIX}*/{self.path.name}")
        facts = {state.parent: checkpoint.facts(state) for state in states}
        fitting = [place for place, meta in facts.items() if self._fits(meta, steps)]
        own = aside(self.folder, self.run.digest)
        return max(fitting, key=lambda it: (it == own, int(facts[it]["step"])), default=None)

    def _fits(self, meta: Meta, steps: int) -> bool:
        """Whether a run of so many steps may go on from a saved one."""
        if "step" not in meta or "values" not in meta:
            return False
        keys = self.run.differing(values_of(meta))
        return not keys or (self.run.may_go_on(keys) and int(meta["step"]) < steps)

    def _is_second(self, meta: Meta) -> bool:
        """Whether a saved run differs from this one, whose very own state was set aside."""
        own = aside(self.folder, self.run.digest) / self.path.name
        return own.exists() and bool(self.run.differing(values_of(meta)))

    def _files(self, folder: Path) -> list[str]:
        """What makes a state: its own file comes last."""
        parts = sorted(path.name for path in folder.glob("state-*.safetensors"))
        return [*JOURNALS, *parts, self.path.name]

    def _digests(self, lengths: Mapping[str, int]) -> dict[str, str]:
        """SHA-256 of the journals up to some lengths."""
        return {
            f"{name} sha256": hashlib.sha256(_head(self.folder / name, length)).hexdigest()
            for name, length in lengths.items()
        }

    def _look(self, state: TrainState) -> Saved:
        """What the folder holds."""
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
        """A notice on stderr, from one process only."""
        if self.main:
            print(f"tcsm: {message}", file=sys.stderr, flush=True)


def values_of(meta: Meta) -> dict[str, Value]:
    """What decided a saved run, by key; empty if it does not say."""
    values: dict[str, Value] = json.loads(renamed.current(str(meta.get("values", "{}"))))
    return values


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
