"""Memory: what is available, a refusal of work that exceeds it, and reuse of what is freed."""

import ctypes
import math
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from tcsm.errors import InputError

GROUPS = Path("/sys/fs/cgroup")
TRIM, MAPPED = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h
LIMITS = ("memory.max", "memory.limit_in_bytes")  # of version 2 and of version 1


def capacity(device: torch.device) -> int:
    """Return the total memory of a device in bytes; for a CPU, what this process may use.

    That is main memory and swap, or the least limit of its control groups or of ``ulimit -v``.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    return min(_machine(), *_limits())


def require_fits(key: str, size: int, device: torch.device, advice: str) -> None:
    """Check that a device has enough memory.

    Args:
        key: Key of the configuration that needs the memory.
        size: A lower bound of the need, in bytes.
        device: The device.
        advice: What to set instead.

    Raises:
        InputError: The need exceeds the device's memory.
    """
    room = capacity(device)
    if size > room:
        raise InputError(
            f"{key}: needs more than {in_bytes(size)} of memory, and {device} has "
            f"{in_bytes(room)}; {advice}"
        )


def in_bytes(size: float) -> str:
    """Return a number of bytes in the largest unit that it has one of, such as "1.5 GiB"."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(len(units) - 1, int(math.log2(size) // 10)) if size >= 1 else 0
    return f"{size / 1024**power:,.1f} {units[power]}"


def keep_freed() -> None:
    """Let the process keep the memory of freed tensors of up to 32 MiB for the next ones.

    Otherwise glibc returns much of it to the system after each training step, and the next step
    waits for thousands of page faults. Other C libraries have no such call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(MAPPED, 32 * 2**20)
        mallopt(TRIM, 2**31 - 1)


def _machine() -> int:
    """Return main memory and swap in bytes."""
    main = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
        return main + sum(1024 * int(s.split()[1]) for s in lines if s.startswith("SwapTotal:"))
    return main


def _limits() -> Iterator[int]:
    """Yield the known limits of this process in bytes."""
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    yield 2**63 if soft == resource.RLIM_INFINITY else soft
    for own in _groups():
        for folder in (own, *own.parents):
            for name in LIMITS if folder.is_relative_to(GROUPS) else ():
                with suppress(OSError, ValueError):  # no such file, or "max"
                    yield int((folder / name).read_text("utf-8"))


def _groups() -> Iterator[Path]:
    """Yield the folders of this process's control groups that may limit its memory."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in ("", "memory"):
                yield GROUPS / controllers / path.lstrip("/")
