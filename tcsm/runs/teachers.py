"""The teacher of a student: the model of another run, or a checkpoint of the Hub.

Its log-conditionals are cached on disk, for students with the same batches. A batch has a file of
its own, named by a digest of its tokens and of the selected positions, in a folder named by a
digest of the teacher: log-conditionals (float16) of all tokens, or of the k likeliest with their
numbers. Files are written atomically and verified by their checksum; a damaged one is reported and
made again. A file that is there is mapped into memory, not copied: a loss reads the rows of one
chunk after another.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.config import Unbuilt
from tcsm.data.tokenizers import HuggingFace, Tokenizer
from tcsm.divergences.top import Top
from tcsm.errors import InputError
from tcsm.huggingface import one_line, quiet
from tcsm.models.teacher import Teacher
from tcsm.runs.models import build_model, load_model, unwrap
from tcsm.runs.run import Run
from tcsm.targets.adapters import TeacherAdapter
from tcsm.training.checkpoint import digest, load, save
from tcsm.training.devices import Devices
from tcsm.training.state import named_tensors

Tensors = dict[str, Tensor]


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

        def ask(teacher: Teacher) -> dict[str, Tensor]:
            return {"log_p": teacher.log_conditionals(x_1, positions)}

        return self._cached(_name(x_1, positions), ask)["log_p"].to(x_1.device)

    def top(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"], k: int, vocabulary: int
    ) -> Top:
        """Return the k likeliest tokens, new or cached; a file holds no others."""

        def ask(teacher: Teacher) -> dict[str, Tensor]:
            top = teacher.top(x_1, positions, k, vocabulary)
            return {"ids": top.ids.int(), "log_p": top.log_p}

        kept = self._cached(f"{_name(x_1, positions)}-top{k}", ask)
        return Top(kept["ids"].to(x_1.device), kept["log_p"].to(x_1.device), vocabulary)

    def _cached(self, name: str, ask: Callable[[Teacher], Tensors]) -> Tensors:
        """Return tensors by a file, which is made if it is not there."""
        if self.folder is None:
            return self._ask(ask)[0]
        path = self.folder / f"{name}.safetensors"
        answer = self._recall(path) if path.exists() else None
        return self._make(path, ask) if answer is None else answer

    def _ask(self, ask: Callable[[Teacher], Tensors]) -> tuple[Tensors, float]:
        assert self.teacher is not None
        began = time.process_time()
        answer = ask(self.teacher)
        spent = time.process_time() - began
        self.made += spent
        return answer, spent

    def _make(self, path: Path, ask: Callable[[Teacher], Tensors]) -> Tensors:
        answer, spent = self._ask(ask)
        rounded = {**answer, "log_p": answer["log_p"].to(self.precision)}
        own = path.with_name(
            f"{os.getpid()}-{path.name}"
        )  # another process may write the same file
        save(own, rounded, {"cpu_seconds": spent})
        os.replace(own, path)
        return rounded

    def _recall(self, path: Path) -> Tensors | None:
        try:
            tensors, facts = load(path)
        except InputError:
            print(f"tcsm: {path}: damaged; its targets are made anew", file=sys.stderr)
            return None
        self.spared += float(facts["cpu_seconds"])
        return tensors


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


def pruned(cache: str | None, limit_mib: int, devices: Devices) -> Path | None:
    """Return the folder of cached targets without the oldest files beyond its largest size."""
    if cache is not None and devices.main:
        prune(Path(cache), limit_mib * 2**20)
    return None if cache is None else Path(cache)


def cached(
    cache: Path | None,
    adapter: TeacherAdapter,
    model: nn.Module,
    devices: Devices,
    precision: torch.dtype = torch.float16,
) -> CachedTeacher:
    """Return the teacher of a model, cached in a folder."""
    parts = [
        digest(named_tensors(model)),
        str(model),
        str(adapter),
        devices.device.type,
        str(devices.bf16),
    ]
    identity = hashlib.sha256("\n".join([*parts, str(precision)]).encode()).hexdigest()
    return CachedTeacher(adapter.attach(model), identity, cache, precision)


def teacher_model(
    named: tuple[str | None, Unbuilt[nn.Module] | None],
    length: int,
    tokenizer: Tokenizer,
    devices: Devices,
) -> nn.Module:
    """Return the teacher's model.

    Args:
        named: Values of the keys ``teacher_run`` and ``pretrained``: a folder, or a checkpoint.
        length: Tokens of the texts that it will read.
        tokenizer: Tokenizer of these texts.
        devices: Where to compute.

    Raises:
        InputError: None or two are named; it reads other tokens, or shorter texts.
    """
    folder, checkpoint = named
    if folder is not None and checkpoint is None:
        return of_run("teacher_run", folder, length, tokenizer, devices)
    if folder is not None or checkpoint is None:
        value = "null" if folder is None else "pretrained, too"
        raise InputError(
            f"teacher_run: found {value}; name the folder of a teacher's run, or set pretrained"
        )
    _require_same_numbers(checkpoint, tokenizer)
    model = build_model(checkpoint, tokenizer, key="pretrained").to(devices.device).eval()
    return _read_once(_frozen(model, length), checkpoint.value("net.name"), length)


@torch.no_grad()
def _read_once(model: nn.Module, name: str, length: int) -> nn.Module:
    """Return a checkpoint's model after one pass over a text of the wanted length.

    Raises:
        InputError: It fails, e.g. for a length that it cannot place.
    """
    x = torch.zeros(1, length, dtype=torch.int64, device=next(model.parameters()).device)
    place = f"pretrained.net.name: {name} cannot read data.length={length} tokens"
    with one_line(place), quiet():
        unwrap(model)(x, None, torch.ones_like(x, dtype=torch.bool))
    return model


def _require_same_numbers(checkpoint: Unbuilt[nn.Module], tokenizer: Tokenizer) -> None:
    """Refuse a checkpoint with our token ids whose own tokenizer differs from ours."""
    name, tokens = checkpoint.value("net.name"), checkpoint.value("net.tokens")
    if tokens is None and isinstance(tokenizer, HuggingFace):
        revision = checkpoint.value("net.revision") or "main"
        try:
            other = HuggingFace(name, tokenizer.size, revision)
        except InputError as error:
            reason = str(error).removeprefix("tokenizer.path: ")
            raise InputError(f"pretrained.net.name: {reason}") from None
        if other.fingerprint != tokenizer.fingerprint:
            raise InputError(
                f"pretrained.net.name: {name} has another tokenizer than {tokenizer.name}"
            )


def of_run(
    key: str, name: str | Path, length: int, tokenizer: Tokenizer, devices: Devices
) -> nn.Module:
    """Return the model of the run whose folder a key holds, frozen.

    Args:
        key: The key, for errors.
        name: The folder.
        length: Tokens of the texts that it will read.
        tokenizer: Tokenizer of these texts.
        devices: Where to compute.

    Raises:
        InputError: No such run; it reads other tokens, or shorter texts.
    """
    run = Run(Path(name))
    run.require_tokens(key, tokenizer.fingerprint, tokenizer.name)
    return _frozen(load_model(run, devices), length)


def _frozen(model: nn.Module, length: int) -> nn.Module:
    longest = unwrap(model).longest
    if longest is not None and longest < length:
        raise InputError(
            f"data.length must be {longest} or less, the most that the teacher can place, found "
            f"{length}"
        )
    return model.requires_grad_(False)
