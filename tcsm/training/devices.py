"""Devices of a run: device, precision, compilation, and processes that share a batch.

The number of processes comes from torchrun's environment (RANK, WORLD_SIZE, LOCAL_RANK), else it
is one; `tcsm.training.launch` starts several.
"""

import importlib
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from tcsm.config.values import MOST_THREADS
from tcsm.errors import InputError
from tcsm.training import distributed
from tcsm.training.memory import keep_freed


class Replica(DistributedDataParallel):
    """A network whose gradients are averaged over the ranks.

    Only calls of ``forward`` prepare the averaging, and every trained parameter must get a
    gradient in the same backward pass. The network's own attributes stay reachable through the
    replica.
    """

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)


def _choose(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Check that the value of a key is allowed.

    Raises:
        InputError: It is not.
    """
    if value not in allowed:
        raise InputError(f"{key} must be one of {', '.join(allowed)}, found {value!r}")


def require_compiler(device: torch.device) -> None:
    """Check that the compiler that torch.compile needs for a device exists.

    Raises:
        InputError: No C++ compiler for a CPU, or no C compiler for a GPU.
    """
    own = "clang++" if sys.platform == "darwin" else "g++"
    variable, names = ("CXX", [own]) if device.type == "cpu" else ("CC", ["gcc", "clang", "cc"])
    names = [os.environ[variable]] if variable in os.environ else names
    if not any(map(shutil.which, names)):
        raise InputError(
            f"devices.compiled: found true, but no compiler {' or '.join(names)} to translate the "
            f"network; install it, name another one in {variable}, or set devices.compiled=false"
        )


def blocks(net: nn.Module) -> list[nn.Module]:
    """Return the items of a network's outermost module lists, or the network if it has none."""
    lists = [part for part in net.modules() if isinstance(part, nn.ModuleList)]
    inner = {id(part) for outer in lists for part in outer.modules() if part is not outer}
    return [block for part in lists if id(part) not in inner for block in part] or [net]


def _sharding() -> ModuleType:
    """Import the module for FSDP, which only sharded runs need."""
    return importlib.import_module("tcsm.training.sharding")


@dataclass(frozen=True)
class Devices:
    """The devices of one run.

    Attributes:
        choice: ``auto`` (the GPU if there is one), ``cpu`` or ``cuda``.
        threads: CPU threads, None for the environment's default.
        precision: ``auto`` (bf16 where the hardware has it), ``bf16`` (autocast), ``fp32``, or
            ``medium``: fp32 by oneDNN's faster kernels, which some processors compute in bf16.
        compiled: Whether the network's blocks go through torch.compile.
        recomputed: Whether activations within blocks are computed again in the backward pass.
        processes: Processes on each node that share the batches of a training, one GPU each.
        nodes: Number of machines.
        sharded: Whether weights, gradients, averages and the optimizer's moments are sharded over
            the processes (FSDP) instead of replicated (DDP).
        patience: Seconds after which a process stops waiting for another.
    """

    choice: str = "auto"
    threads: int | None = None
    precision: str = "auto"
    compiled: bool = False
    recomputed: bool = False
    processes: int = 1
    nodes: int = 1
    sharded: bool = False
    patience: int = 600

    def __post_init__(self) -> None:
        _choose("devices.choice", self.choice, ("auto", "cpu", "cuda"))
        _choose("devices.precision", self.precision, ("auto", "bf16", "fp32", "medium"))
        if self.choice == "cuda" and not torch.cuda.is_available():
            raise InputError(
                "devices.choice is cuda, but torch finds no CUDA device; use cpu or auto"
            )
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise InputError(f"threads must lie in [1, {MOST_THREADS}], found {self.threads}")
        for key in ("processes", "nodes", "patience"):
            if getattr(self, key) < 1:
                raise InputError(f"devices.{key} must be 1 or more, found {getattr(self, key)}")
        if self.sharded and self.compiled:
            raise InputError("devices.sharded: found true with devices.compiled; choose one")

    @property
    def rank(self) -> int:
        """Return the rank of this process, from 0."""
        return distributed.rank()

    @property
    def world(self) -> int:
        """Return the number of processes that share the work."""
        return distributed.world_size()

    @property
    def main(self) -> bool:
        """Return whether this process writes files."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """Return the device of this process."""
        if self.choice == "cpu" or not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))

    @property
    def bf16(self) -> bool:
        """Return whether autocast runs in bf16."""
        if self.precision != "auto":
            return self.precision == "bf16"
        if self.device.type == "cuda":
            return bool(torch.cuda.is_bf16_supported())
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Set threads, precision and reuse of memory; join the process group, until ``leave``.

        Raises:
            InputError: The network is to be compiled, and there is no compiler.
        """
        if self.compiled:
            require_compiler(self.device)
        keep_freed()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision("medium" if self.precision == "medium" else "highest")
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if (
            self.world > 1 and not dist.is_initialized()
        ):  # a second group would meet remains of the first
            backend = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=timedelta(seconds=self.patience))
        yield

    def leave(self) -> None:
        """Leave the process group; a failing process just ends."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def autocast(self) -> torch.autocast:
        """Return the autocast context of forward passes."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    @property
    def is_sharded(self) -> bool:
        """Return whether the weights are sharded over several processes."""
        return self.sharded and self.world > 1

    def place(self, model: nn.Module, net: nn.Module) -> None:
        """Move a model to its device; of a sharded network, only this process's shard."""
        if self.is_sharded:
            _sharding().shard(net, self.device.type, self.world)
        model.to(self.device)

    def wrap(self, net: nn.Module) -> nn.Module:
        """Compile a network in place; with several processes, average its gradients (DDP).

        Blocks are compiled one by one, and equal ones once. What is around them selects noised
        positions, whose number differs from step to step, and would break the graph there.
        """
        for block in blocks(net):
            if self.compiled:
                block.forward = torch.compile(block.forward)
            if self.recomputed and block is not net:
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        if self.world == 1 or self.sharded:
            return net
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            return Replica(net, broadcast_buffers=False)  # later torch renames the argument

    def gradients(self, net: nn.Module, last: bool) -> AbstractContextManager[None]:
        """Return a context for one micro-batch: only the last one exchanges gradients."""
        if self.is_sharded:
            _sharding().exchange(net, last)
        if isinstance(net, Replica) and not last:
            return net.no_sync()
        return nullcontext()

    def mean(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the mean of 0-d tensors over the processes."""
        if self.world == 1:
            return dict(terms)
        row = torch.stack([term.detach().double() for term in terms.values()])
        dist.all_reduce(row)
        return dict(zip(terms, row / self.world, strict=True))

    def any(self, flag: bool) -> bool:
        """Return whether the flag is true in any process."""
        return self.total(int(flag)) > 0

    def total(self, number: int) -> int:
        """Return the sum of a number over the processes."""
        if self.world == 1:
            return number
        summed = torch.tensor(number)  # on the CPU, so that it does not wait for the GPU
        dist.all_reduce(summed)
        return int(summed)

    def barrier(self) -> None:
        """Wait for all processes."""
        self.any(False)

    def require_same(self, number: int, what: str) -> None:
        """Check that a number equals that of the first process.

        Raises:
            InputError: The numbers differ; raised in all processes.
        """
        if self.world == 1:
            return
        first = torch.tensor(number)
        dist.broadcast(first, 0)
        if self.any(int(first) != number):
            raise InputError(f"{what}: {number} in process {self.rank}, {int(first)} in the first")
