"""Seconds of a call on a device, and the memory that it took."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch


def settle(device: torch.device) -> None:
    """Wait until a GPU has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def per_call(call: Callable[[], object], device: torch.device, calls: int, warm: int = 3) -> float:
    """Seconds of a call, the mean over some after a warm-up."""
    for _ in range(warm):
        call()
    settle(device)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    settle(device)
    return (time.perf_counter() - start) / calls


def start_memory(device: torch.device) -> None:
    """Measure the largest memory from here on; on a CPU it is the whole process's."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def memory_mib(device: torch.device) -> float:
    """The largest memory so far, MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resident_mib()


def resident_mib() -> float:
    """The largest resident memory of this program so far, MiB; Linux counts its parent's apart."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    own = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return (own or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss])[0] / 1024
