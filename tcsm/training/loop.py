"""The training loop: loss, backward, optimizer step, hooks; for any model and objective."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from tcsm.training.devices import Devices
from tcsm.training.hooks import FiniteCheck, Hooks, MetricLogger
from tcsm.training.interruption import Preempted, interruption
from tcsm.training.state import TrainState


@runtime_checkable
class Batch(Protocol):
    """A batch as the loop needs it."""

    @property
    def tokens(self) -> Tensor:
        """Return its tokens; the loop only counts them."""

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""


@runtime_checkable
class Batches(Protocol):
    """Batches as a pure function of the step, so that a restart rewinds nothing."""

    def at(self, step: int, rank: int, world: int, micro: int, micros: int) -> Batch:
        """Return the share of a rank in one micro-batch of a step; the first step is 0."""


Loss = Callable[[nn.Module, Any], Mapping[str, Tensor]]


def fit(
    state: TrainState, loss: Loss, batches: Batches, devices: Devices, hooks: Hooks
) -> TrainState:
    """Train until step `optim.steps`.

    Args:
        state: A fresh or restored state; updated in place.
        loss: (network, batch) ↦ 0-d tensors, "loss" among them, means over the batch.
        batches: The data.
        devices: Ready devices (``with devices.ready()``).
        hooks: Metrics, telemetry, progress and checkpoints.

    Raises:
        InputError: Loss or gradient is not finite; the last good checkpoint is kept.
        Preempted: SIGTERM, SIGUSR1, SIGINT or SIGHUP arrived; the state is saved.
    """
    net = devices.wrap(state.model.train())
    logger, finite = MetricLogger(state, hooks), FiniteCheck(hooks)
    with interruption() as interrupted:
        while state.step < state.optim.steps:
            terms = _step(state, net, loss, batches, devices)
            finite.note(state.step, terms)
            log = _due(state, state.optim.log_every)
            stop = devices.any(interrupted())
            save = stop or _due(state, state.optim.checkpoint_every)
            if log or save or _eager(devices):
                finite.check()
            if log:
                logger.log(terms)
            if save:
                logger.save()
            if stop and state.step < state.optim.steps:
                _stop(logger, devices)
    return state


def _stop(logger: MetricLogger, devices: Devices) -> NoReturn:
    """Exit once all processes are here, so that none is ended while it still writes."""
    devices.barrier()
    if devices.main:
        logger.say_stopped()
    raise Preempted


def _due(state: TrainState, every: int) -> bool:
    """Return whether an action that is due every so many steps, and at the last, is due now."""
    return state.step % every == 0 or state.step == state.optim.steps


def _eager(devices: Devices) -> bool:
    """Return whether to check numbers every step; on a GPU each check waits for the device."""
    return devices.device.type == "cpu"


def _step(
    state: TrainState, net: nn.Module, loss: Loss, batches: Batches, devices: Devices
) -> dict[str, Tensor]:
    """Take one optimizer step over all micro-batches; return the mean terms and the norm."""
    micros = state.optim.accumulate
    means: dict[str, Tensor] = {}
    for micro in range(micros):
        _seed(devices.device, state.seed, state.step, micro, devices.rank)
        batch = batches.at(state.step, devices.rank, devices.world, micro, micros)
        _count(state, batch, devices)
        batch = batch.to(devices.device)
        with devices.gradients(net, last=micro == micros - 1):
            with devices.autocast():
                terms = loss(net, batch)
            (terms["loss"] / micros).backward()  # type: ignore[no-untyped-call]
        for name, term in terms.items():
            means[name] = means.get(name, 0) + term.detach() / micros
    return {**devices.mean(means), "grad_norm": state.descend()}


def _count(state: TrainState, batch: Batch, devices: Devices) -> None:
    """Add the sequences of all processes, and their tokens of text (not prompts and padding)."""
    rows, real = batch.tokens, getattr(batch, "real", None)
    count = rows.numel() * devices.world if real is None else devices.total(int(real.sum()))
    state.tokens += count
    if state.sequences is not None:
        state.sequences += len(rows) * devices.world


def _seed(device: torch.device, *place: int) -> None:
    """Seed torch's own randomness (dropout) by the place where it is used."""
    seed = zlib.crc32(repr(place).encode())
    if device.type == "cpu":  # `torch.manual_seed` formats a stack trace per other kind of device
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
