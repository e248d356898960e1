"""Check by lower bounds that a run fits in memory and on the disk, before any allocation.

A training needs 16 bytes for each parameter in float32: weight, gradient and AdamW's two averages.
For the backward pass it keeps the input of every linear layer, and the logits unless a head works
chunk by chunk; half precision halves these.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tcsm.config import Unbuilt
from tcsm.errors import InputError
from tcsm.runs.run import Run
from tcsm.training.devices import Devices
from tcsm.training.memory import in_bytes, require_fits
from tcsm.training.optim import OptimConfig

TRAINED, TOKEN, NUMBER = 16, 8, 2  # bytes of a parameter, a token and an activation
KEPT, AVERAGE, WEIGHTS = 12, 4, 4  # bytes of a parameter in a state, in its average, in the result
OURS, HUB = "tcsm.nets.", "tcsm.nets.hub."  # networks of the hub read files
CPU = torch.device("cpu")
ATEN = torch.ops.aten
SHAPED = {ATEN.normal_.default, ATEN.uniform_.default, ATEN.mul.Tensor}  # as their first argument


@dataclass(frozen=True)
class Size:
    """Lower bounds for a network.

    Attributes:
        parameters: Number of parameters.
        kept: Bytes that a backward pass needs per token.
        logits: Bytes of the logits of a token.
    """

    parameters: int
    kept: int
    logits: int


def require_memory(run: Run) -> None:
    """Refuse a run whose network, batch or samples cannot fit in memory.

    Raises:
        InputError: The key, the least need, and the available memory.
    """
    devices: Devices = run.part("devices")()
    size = size_of(run.part("model").part("net")) if run.value("model.net") else Size(0, 0, 0)
    if run.value("trainer") is not None:
        _training(run, size, devices)
    length = _number(run, "data.length", 1)
    for key, rows, device in _rows(run, devices.device):
        each = TOKEN if key == "collecting.count" else TOKEN + size.logits
        require_fits(key, rows * length * each, device, "set a smaller one")
    for part, key in (("evaluation", "metric.likelihood"), ("validation", "validation")):
        number = "draws" if run.value(f"{key}.target_se") is None else "most_draws"
        draws, sequences = (_number(run, f"{key}.{name}") for name in (number, "sequences"))
        value = f"found {sequences} sequences of {draws} draws; set fewer"
        require_fits(f"{part}.{number}", 3 * 8 * draws * sequences, CPU, value)


def _number(run: Run, key: str, default: int = 0) -> int:
    """Return the value of a key, a default where the run has none."""
    value = run.value(key)
    return default if value is None else int(value)


def size_of(net: Unbuilt[nn.Module]) -> Size:
    """Return the size of a network by its configuration, without its weights.

    Blocks are counted from two small networks, of one block and of two.
    """
    target, depth, plain = str(net.value("_target_")), net.value("depth"), net.plain
    if target.startswith(HUB) or not target.startswith(OURS):
        return Size(0, 0, 0)  # a network from outside this package has no known size
    if not isinstance(depth, int) or depth <= 2:
        return _measured(json.dumps(plain))
    one, two = (_measured(json.dumps({**plain, "depth": d})) for d in (1, 2))
    parameters, kept = (
        first + (second - first) * (depth - 1)
        for first, second in ((one.parameters, two.parameters), (one.kept, two.kept))
    )
    return Size(parameters, kept, one.logits)


class _Shapes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives tensors their shapes alone; to draw or scale one torch would import its compiler."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:  # torch's guard against compilation would import it too
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 -- as torch does
        if func in SHAPED and not any(map(torch.is_tensor, args[1:])):
            return args[0]
        made = torch.empty if func is ATEN.randn.default else func
        return made(*args, **(kwargs or {}))


@contextmanager
def unallocated() -> Iterator[None]:
    """Let networks be built without memory for their weights, and without drawing these."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), _Shapes():  # type: ignore[no-untyped-call]
        yield


@cache
def _measured(text: str) -> Size:
    """Return the size of a network, built without weights; ``text`` is its configuration."""
    net = Unbuilt[nn.Module](OmegaConf.create({"net": json.loads(text)}).net)
    with unallocated():
        made = net()
    linear = [m.in_features for m in made.modules() if isinstance(m, nn.Linear)]
    whole = getattr(made, "chunk", None) is None
    return Size(
        sum(p.numel() for p in made.parameters()),
        TOKEN + NUMBER * sum(linear),
        NUMBER * getattr(made, "vocabulary", 0) if whole else 0,
    )


def _training(run: Run, size: Size, devices: Devices) -> None:
    """Refuse weights, or a micro-batch beside them, that do not fit."""
    shares, batch = devices.processes * devices.nodes, run.value("data.batch")
    if shares > max(batch, 1):
        raise InputError(
            f"devices.processes: {shares} processes (of {devices.nodes} nodes) must have a "
            f"sequence each; set {batch} or fewer, or a larger data.batch"
        )
    average = AVERAGE if run.value("trainer.ema") else 0
    each = TRAINED + average
    weights = each * size.parameters // (shares if devices.sharded else 1)
    words = f"{size.parameters:,} parameters at {each} bytes"
    require_fits("net", weights, devices.device, f"{words}; make net.dim or net.depth smaller")
    length = _number(run, "data.length", 1)
    rows = batch // (shares * run.value("trainer.accumulate"))
    require_fits(
        "data.batch",
        weights + rows * length * (size.kept + size.logits),
        devices.device,
        f"found {batch}: make it, data.length or the network smaller, or raise trainer.accumulate",
    )
    _require_disk(run, size.parameters, average)


def _require_disk(run: Run, parameters: int, average: int) -> None:
    """Refuse a training whose states and weights do not fit on their disks.

    A state stays until the next one is complete. What an earlier try left is written over.
    """
    optim: OptimConfig = run.part("trainer")()
    states = 2 if optim.steps > optim.checkpoint_every else 1
    needs = {"scratch": states * parameters * (KEPT + average), "out": parameters * WEIGHTS}
    places = {"scratch": run.scratch, "out": run.folder}
    disks = {key: free_bytes(place) for key, place in places.items()}
    if disks["scratch"][0] == disks["out"][0]:
        needs = {"out": sum(needs.values())}
    left = sum(path.stat().st_size for path in run.scratch.glob("state*"))
    for key, need in needs.items():
        room = disks[key][1]
        if need > room + left:
            raise InputError(
                f"{key}: needs {in_bytes(need)} of disk, and {places[key]} has "
                f"{in_bytes(room)}; set {key}= to another disk"
            )


def free_bytes(folder: Path) -> tuple[int, int]:
    """Return the disk and the free bytes of a folder that need not exist yet."""
    parents = (folder.absolute(), *folder.absolute().parents)
    exists = next(path for path in parents if path.exists())
    return exists.stat().st_dev, shutil.disk_usage(exists).free


def _rows(run: Run, device: torch.device) -> list[tuple[str, int, torch.device]]:
    """Return the keys of sequences that are in memory at once, their numbers and device."""
    value = partial(_number, run)
    return [
        ("sampling.count", value("sampling.count"), device),
        ("metric.rewards.count", value("metric.rewards.count"), device),
        ("collecting.count", value("collecting.count"), CPU),
        ("collecting.batch", min(value("collecting.batch"), value("collecting.count")), device),
        (
            "evaluation.batch",
            min(value("metric.likelihood.batch"), value("metric.likelihood.sequences")),
            device,
        ),
    ]
