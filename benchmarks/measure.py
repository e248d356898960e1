"""What the benchmarks share: the machine, times by part of a step, ratios, power laws, JSON."""

import json
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

RESULTS = Path("benchmarks/results")
DRAWS = 2000  # bootstrap resamples
PARTS = ("corrupt", "forward", "head and loss", "backward", "optimizer")


def commit(folder: Path) -> str:
    """The commit that is checked out in a folder, "" where there is none."""
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stdout.strip()


def processor() -> str:
    """The CPU's model, as the system names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return " / ".join(dict.fromkeys(named)) or platform.processor()


def machine(device: torch.device | str = "cpu") -> dict:
    """The device, the processor and the versions that a number depends on."""
    device = torch.device(device)
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "processor": processor(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        **({"cuda": torch.version.cuda} if on_gpu else {}),
    }


def save(path: Path, result: dict) -> None:
    """Write a result, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    part.replace(path)


@dataclass
class Laps:
    """Seconds of the parts of a step, in order of their calls.

    Attributes:
        clock: where the time is read.
        settle: waits until the device has done what was asked of it.
        seconds: part → seconds of each step.
        last: when the part began.
    """

    clock: Callable[[], float] = time.perf_counter
    settle: Callable[[], None] = lambda: None
    seconds: dict[str, list[float]] = field(default_factory=dict)
    last: float = 0.0

    def start(self) -> None:
        """Begin a step."""
        self.settle()
        self.last = self.clock()

    def end(self, part: str) -> None:
        """End a part, and begin the next one."""
        self.settle()
        now = self.clock()
        self.seconds.setdefault(part, []).append(now - self.last)
        self.last = now

    def descend(self, loss: Tensor, update: Callable[[], object]) -> Tensor:
        """End a step that has its loss: backward, then the update; the loss, on its device."""
        self.end("head and loss")
        loss.backward()
        self.end("backward")
        update()
        self.end("optimizer")
        return loss.detach()

    def milliseconds(self) -> dict[str, float]:
        """The median of each part over the second half of the steps, without warm-up."""
        return {part: 1000 * _late_median(spent) for part, spent in self.seconds.items()}


def _late_median(values: Sequence[float]) -> float:
    return float(np.median(values[len(values) // 2 :]))


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians, and its bootstrap interval of 95 % over rounds."""

    value: float
    low: float
    high: float


def paired_ratio(own: Sequence[float], base: Sequence[float]) -> Ratio:
    """The median over rounds of own/base within a round; rounds are drawn anew together."""
    ratios = np.array(own) / np.array(base)
    pick = np.random.default_rng(0).integers(len(ratios), size=(DRAWS, len(ratios)))
    medians = np.median(ratios[pick], 1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return Ratio(float(np.median(ratios)), float(low), float(high))


@dataclass(frozen=True)
class Power:
    """A power law y = c x^a by least squares of logarithms; a has a bootstrap interval."""

    exponent: float
    low: float
    high: float
    factor: float


def power(x: Sequence[float], rounds: Sequence[Sequence[float]]) -> Power:
    """The power law of the medians over rounds of y; ``rounds`` has a row for each x."""
    log_x, y = np.log(np.array(x, float)), np.array(rounds, float)
    slope, start = np.polyfit(log_x, np.log(np.median(y, 1)), 1)
    pick = np.random.default_rng(0).integers(y.shape[1], size=(200, y.shape[1]))
    slopes = [np.polyfit(log_x, np.log(np.median(y[:, some], 1)), 1)[0] for some in pick]
    low, high = np.quantile(slopes, [0.025, 0.975])
    return Power(float(slope), float(low), float(high), float(np.exp(start)))
