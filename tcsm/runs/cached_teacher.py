"""Cache the log-conditionals of a teacher on disk, for students with the same batches.

A batch has a file of its own: log-conditionals (float16), named by a digest of its tokens and of
the selected positions, in a folder named by a digest of the teacher. Files are written atomically
and verified by their checksum; a damaged one is reported and made again. A file that is there is
mapped into memory, not copied: a loss reads the rows of one chunk after another.
"""

import hashlib
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.errors import InputError
from tcsm.models.teacher import Teacher
from tcsm.training.checkpoint import load, save


class CachedTeacher(Teacher):
    """A teacher whose log-conditionals are cached, and their cost.

    Cached values are rounded when they are made, so that a run's numbers do not depend on which
    run made them.

    Args:
        teacher: The teacher; None if it is never called.
        identity: A digest of its weights and of its adapter.
        cache: Folder of cached values; None for no cache, in full precision.
        precision: Type of cached values.

    Attributes:
        made: Processor seconds that this run spent on the teacher.
        spared: Processor seconds that other runs spent on values which this run read.
    """

    def __init__(
        self,
        teacher: Teacher | None = None,
        identity: str = "",
        cache: Path | None = None,
        precision: torch.dtype = torch.float16,
    ) -> None:
        self.teacher, self.identity, self.precision = teacher, identity, precision
        self.folder = None if cache is None else cache / identity[:16]
        self.made, self.spared = 0.0, 0.0

    def costs(self) -> dict[str, float]:
        """Return both costs for telemetry; their sum is the cost without a cache."""
        if self.teacher is None:
            return {}
        return {"targets_cpu_seconds": self.made, "targets_spared_cpu_seconds": self.spared}

    def resume_costs(self, journal: Path) -> None:
        """Continue the costs of a journal of telemetry."""
        rows = journal.read_text("utf-8").splitlines() if journal.exists() else []
        last = json.loads(rows[-1]) if rows else {}
        self.made = last.get("targets_cpu_seconds", 0.0)
        self.spared = last.get("targets_spared_cpu_seconds", 0.0)

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the teacher's log-conditionals, new or cached, then of the cache's type."""
        if self.folder is None:
            return self._ask(x_1, positions)[0]
        path = self.folder / f"{_name(x_1, positions)}.safetensors"
        answer = self._recall(path) if path.exists() else None
        return (self._make(path, x_1, positions) if answer is None else answer).to(x_1.device)

    def _ask(self, x_1: Tensor, positions: Tensor) -> tuple[Tensor, float]:
        assert self.teacher is not None
        began = time.process_time()
        answer = self.teacher.log_conditionals(x_1, positions)
        spent = time.process_time() - began
        self.made += spent
        return answer, spent

    def _make(self, path: Path, x_1: Tensor, positions: Tensor) -> Tensor:
        answer, spent = self._ask(x_1, positions)
        rounded = answer.to(self.precision)
        own = path.with_name(
            f"{os.getpid()}-{path.name}"
        )  # another process may write the same file
        save(own, {"log_p": rounded}, {"cpu_seconds": spent})
        os.replace(own, path)
        return rounded

    def _recall(self, path: Path) -> Tensor | None:
        try:
            tensors, facts = load(path)
        except InputError:
            print(f"tcsm: {path}: damaged; its targets are made anew", file=sys.stderr)
            return None
        self.spared += float(facts["cpu_seconds"])
        return tensors["log_p"]


def _name(x_1: Tensor, positions: Tensor) -> str:
    """Return the file name for a batch and its selected positions."""
    total = hashlib.sha256(f"{tuple(x_1.shape)}".encode())
    for part in (x_1, positions):
        total.update(part.cpu().contiguous().numpy().data)
    return total.hexdigest()[:32]


def prune(root: Path, limit: int) -> None:
    """Remove the files that were not written for the longest time, until ``limit`` bytes stay."""
    files = []
    for path in root.glob("*/*"):
        with suppress(FileNotFoundError):
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    excess = sum(size for _, size, _ in files) - limit
    for _, size, path in sorted(files):
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size
