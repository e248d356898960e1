"""Machine-dependent measurements: time, speed, memory, versions."""

import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

# Files that `dvc repro` writes between two runs and no run reads.
RESULTS = ("dvc.lock", "data.dvc", "reports/metrics.json", "reports/*/metrics.json")
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # dense bf16, by NVIDIA's sheets


@dataclass(frozen=True)
class Elapsed:
    """Wall-clock and processor seconds of a run, summed over restarts."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


class Stopwatch:
    """Measure time from construction, added to the time of earlier processes.

    Attributes:
        started: Start of this process's measurement, ISO 8601 in UTC.
    """

    def __init__(self, before: Elapsed | None = None) -> None:
        before = before or Elapsed()
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._wall = time.perf_counter() - before.seconds
        self._cpu = time.process_time() - before.cpu_seconds

    def read(self) -> Elapsed:
        """Return the time until now."""
        return Elapsed(time.perf_counter() - self._wall, time.process_time() - self._cpu)


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak memory so far: of the GPU if there is one, else of the process."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def device_name(device: torch.device) -> str:
    """Return the name of the GPU or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    text = Path("/proc/cpuinfo").read_text("utf-8", "replace") if sys.platform == "linux" else ""
    lines = text.splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]


def utilization(flops_per_second: float, device: str) -> float | None:
    """Return the model FLOP utilization (MFU), None where the device's peak is unknown."""
    peaks = [peak for name, peak in PEAK_FLOPS.items() if name in device]
    return flops_per_second / peaks[0] if peaks else None


def versions() -> dict[str, str]:
    """Return the versions of Python and of packages that numbers may depend on."""
    values = {"python": platform.python_version(), "torch": str(torch.__version__)}
    for package in ("numpy", "safetensors", "tcsm"):
        try:
            values[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            values[package] = "not installed"
    return values


def checkout(folder: Path | None = None) -> dict[str, str | bool | None]:
    """Return the git commit and whether the working tree differs; None outside a checkout.

    Results that git tracks are ignored: one run would make the next one dirty.
    """
    sources = (":/", *(f":(top,exclude,glob){name}" for name in RESULTS))

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder or Path.cwd()), *words]
        done = subprocess.run(command, capture_output=True, check=True)
        return done.stdout.decode("utf-8", "replace").strip()

    try:
        changes = git("status", "--porcelain", "--", *sources)
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changes)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def describe(
    watch: Stopwatch,
    tokens: int,
    device: torch.device,
    flops_per_token: float | None = None,
    world: int = 1,
) -> dict[str, object]:
    """Return the content of ``<stage>.telemetry.json``.

    Args:
        watch: Stopwatch of the stage.
        tokens: Tokens in that time, over all ranks.
        device: Device of the stage.
        flops_per_token: FLOPs per token of all the stage's work, for the MFU.
        world: Number of processes that shared the work.
    """
    elapsed, name = watch.read(), device_name(device)
    speed = tokens / max(elapsed.seconds, 1e-9)
    return {
        "seconds": elapsed.seconds,
        "cpu_seconds": elapsed.cpu_seconds,
        "tokens_per_second": speed,
        "peak_memory_mib": peak_memory_mib(device),
        "mfu": utilization(speed * flops_per_token / world, name) if flops_per_token else None,
        "device": name,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        **checkout(),
        "started": watch.started,
    }
