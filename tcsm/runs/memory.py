"""Check that a run can fit in memory by lower bounds, before anything is allocated.

A training needs 16 bytes for each parameter in float32: weight, gradient and AdamW's two averages.
For the backward pass it keeps the input of every linear layer, and the logits unless a head works
chunk by chunk; half precision halves these.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tcsm.config import build
from tcsm.errors import InputError
from tcsm.training.devices import Devices
from tcsm.training.memory import require_fits

TRAINED, TOKEN, NUMBER = 16, 8, 2  # bytes of a parameter, a token and an activation
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


def require_memory(cfg: DictConfig) -> None:
    """Refuse a run whose network, batch or samples cannot fit in memory.

    Raises:
        InputError: The key, the least need, and the available memory.
    """
    devices: Devices = build(cfg.devices)
    net = OmegaConf.select(cfg, "model.net")
    size = Size(0, 0, 0) if net is None else size_of(net)
    if cfg.get("trainer") is not None:
        _training(cfg, size, devices)
    length = OmegaConf.select(cfg, "data.length", default=1)
    for key, rows, device in _rows(cfg, devices.device):
        each = TOKEN if key == "collecting.count" else TOKEN + size.logits
        require_fits(key, rows * length * each, device, "set a smaller one")
    for part, key in (("evaluation", "metric.likelihood"), ("validation", "validation")):
        until = OmegaConf.select(cfg, f"{key}.target_se", default=None)
        number = "draws" if until is None else "most_draws"
        draws = OmegaConf.select(cfg, f"{key}.{number}", default=0)
        sequences = OmegaConf.select(cfg, f"{key}.sequences", default=0)
        found = f"found {sequences} sequences of {draws} draws; set fewer"
        require_fits(f"{part}.{number}", 3 * 8 * draws * sequences, CPU, found)


def size_of(net: DictConfig) -> Size:
    """Return the size of a network by its configuration, without its weights.

    Blocks are counted from two small networks, of one block and of two.
    """
    target = str(net.get("_target_"))
    if target.startswith(HUB) or not target.startswith(OURS):
        return Size(0, 0, 0)  # a network from outside this package has no known size
    depth = net.get("depth")
    if not isinstance(depth, int) or depth <= 2:
        return _measured(OmegaConf.to_yaml(net, resolve=True))
    plain = OmegaConf.to_container(net, resolve=True)
    assert isinstance(plain, dict)
    one, two = (_measured(OmegaConf.to_yaml({**plain, "depth": d})) for d in (1, 2))
    parameters, kept = (
        first + (second - first) * (depth - 1)
        for first, second in ((one.parameters, two.parameters), (one.kept, two.kept))
    )
    return Size(parameters, kept, one.logits)


class _Shapes(TorchDispatchMode):
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
    with torch.random.fork_rng(devices=[]), torch.device("meta"), _Shapes():
        yield


@cache
def _measured(text: str) -> Size:
    """Return the size of a network, built without weights; ``text`` is its configuration."""
    node = OmegaConf.create({"net": OmegaConf.create(text)})
    with unallocated():
        made: nn.Module = build(node.net)
    linear = [m.in_features for m in made.modules() if isinstance(m, nn.Linear)]
    whole = getattr(made, "chunk", None) is None
    return Size(
        sum(p.numel() for p in made.parameters()),
        TOKEN + NUMBER * sum(linear),
        NUMBER * getattr(made, "vocabulary", 0) if whole else 0,
    )


def _training(cfg: DictConfig, size: Size, devices: Devices) -> None:
    """Refuse weights, or a micro-batch beside them, that do not fit."""
    shares, batch = devices.processes * devices.nodes, cfg.data.batch
    if shares > max(batch, 1):
        raise InputError(
            f"devices.processes: {shares} processes (of {devices.nodes} nodes) must have a "
            f"sequence each; set {batch} or fewer, or a larger data.batch"
        )
    weights = TRAINED * size.parameters // (shares if devices.sharded else 1)
    words = f"{size.parameters:,} parameters at {TRAINED} bytes"
    require_fits("net", weights, devices.device, f"{words}; make net.dim or net.depth smaller")
    length = OmegaConf.select(cfg, "data.length", default=1)
    rows = batch // (shares * cfg.trainer.accumulate)
    require_fits(
        "data.batch",
        weights + rows * length * (size.kept + size.logits),
        devices.device,
        f"found {batch}: make it, data.length or the network smaller, or raise trainer.accumulate",
    )


def _rows(cfg: DictConfig, device: torch.device) -> list[tuple[str, int, torch.device]]:
    """Return the keys of sequences that are in memory at once, their numbers and device."""

    def value(key: str) -> int:
        return int(OmegaConf.select(cfg, key, default=0))

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
