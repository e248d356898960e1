"""Hooks of the training loop: metrics, telemetry, checkpoints, and a check for NaN."""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from tcsm.errors import InputError
from tcsm.training.distributed import RESUME
from tcsm.training.resume import CheckpointManager
from tcsm.training.state import TrainState
from tcsm.training.telemetry import Elapsed, Stopwatch

Row = dict[str, float | int]


def _ignore(row: Row) -> None:
    """Record nothing."""


@dataclass(frozen=True)
class Hooks:
    """Hooks of the training loop, in every process; only those of the main one may write.

    Attributes:
        record: Called with a row of metrics, deterministic, every ``log_every`` steps.
        time: Called with a row of telemetry at the same steps.
        progress: Shows step, steps, loss, tokens per second and seconds left; see ``Progress``.
        checkpoints: Saves the state, None to save nothing.
    """

    record: Callable[[Row], object] = _ignore
    time: Callable[[Row], object] = _ignore
    progress: Callable[[int, int, float, float, float], object] | None = None
    checkpoints: CheckpointManager | None = None


class NotFiniteError(InputError):
    """A loss or a gradient is NaN or infinite."""


class FiniteCheck:
    """Keep loss and gradient norm on the device, and check them on request."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.notes: list[tuple[int, Tensor]] = []

    def note(self, step: int, terms: Mapping[str, Tensor]) -> None:
        """Keep a step's loss and gradient norm without waiting for the device."""
        pair = [terms[name].double() for name in ("loss", "grad_norm")]
        self.notes.append((step, torch.stack(pair)))

    def check(self) -> None:
        """Check the steps since the last check.

        Raises:
            NotFiniteError: The first step whose loss or gradient norm is not finite.
        """
        values = torch.stack([pair for _, pair in self.notes]).tolist()
        steps = [step for step, _ in self.notes]
        self.notes.clear()
        for step, (loss, norm) in zip(steps, values, strict=True):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise NotFiniteError(
                    f"training stopped at step {step}: loss {loss}, gradient norm {norm}; "
                    f"{self._kept()}; try a smaller trainer.learning_rate or trainer.clip, "
                    "a longer trainer.warmup, or devices.precision=fp32"
                )

    def _kept(self) -> str:
        """Return a message on the last good checkpoint."""
        kept = self.hooks.checkpoints and self.hooks.checkpoints.path
        return f"the last good checkpoint is {kept}" if kept and kept.exists() else "no checkpoint"


class MetricLogger:
    """Measure the time of a run, log its metrics and save its state."""

    def __init__(self, state: TrainState, hooks: Hooks) -> None:
        self.state, self.hooks = state, hooks
        self.stopwatch = Stopwatch(state.elapsed)
        self.last: tuple[Elapsed, int, int] = (state.elapsed, state.tokens, state.step)

    def log(self, terms: Mapping[str, Tensor]) -> None:
        """Log one row of metrics and one of telemetry.

        Raises:
            NotFiniteError: A diagnostic is not finite, though loss and gradient are.
        """
        state, optim = self.state, self.state.optim
        values = {name: float(term) for name, term in terms.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise NotFiniteError(f"training stopped at step {state.step}: {name} is {value}")
        norm = values.pop("grad_norm")
        row: Row = {"step": state.step, "tokens": state.tokens, "loss": values["loss"], **values}
        self.hooks.record({**row, "lr": optim.rate(state.step - 1), "grad_norm": norm})
        now = state.elapsed = self.stopwatch.read()
        before, tokens, step = self.last
        seconds = max(now.seconds - before.seconds, 1e-9)
        speed = (state.tokens - tokens) / seconds
        self.last = (now, state.tokens, state.step)
        times: Row = {"step": state.step, "seconds": now.seconds, "cpu_seconds": now.cpu_seconds}
        self.hooks.time({**times, "tokens_per_second": speed})
        if self.hooks.progress:
            left = (optim.steps - state.step) * seconds / (state.step - step)
            self.hooks.progress(state.step, optim.steps, values["loss"], speed, left)

    def save(self) -> None:
        """Save the state if there is a checkpoint manager."""
        self.state.elapsed = self.stopwatch.read()
        if self.hooks.checkpoints:
            self.hooks.checkpoints.save(self.state)

    def say_stopped(self) -> None:
        """Print on stderr at which step a signal has ended the run, and where its state is."""
        kept = self.hooks.checkpoints
        words = f"state saved in {kept.path}; {RESUME}" if kept else "nothing is kept"
        line = f"tcsm: stopped after step {self.state.step}; {words}"
        tqdm.write(line, file=sys.stderr)  # above the bar of a terminal
        sys.stderr.flush()
