"""The one training loop: loss, backward, descend, record. It knows neither model nor objective."""

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
    """What the loop must know of a batch."""

    @property
    def tokens(self) -> Tensor:
        """Its tokens; the loop only counts them."""

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""


@runtime_checkable
class Batches(Protocol):
    """Batches as a pure function of the step: nothing to rewind after a restart."""

    def at(self, step: int, rank: int, world: int, micro: int, micros: int) -> Batch:
        """The share of a rank in one micro-batch of a step, the first step being 0."""


Loss = Callable[[nn.Module, Any], Mapping[str, Tensor]]


def fit(
    state: TrainState, loss: Loss, batches: Batches, devices: Devices, hooks: Hooks
) -> TrainState:
    """Train until step `optim.steps`.

    Args:
        state: fresh or restored; advanced in place.
        loss: (network, batch) to 0-d tensors, "loss" among them, means over the batch.
        batches: the data.
        devices: ready (``with devices.ready()``).
        hooks: what to record, show and save.

    Raises:
        InputError: loss or gradient is not finite; the last good checkpoint is kept.
        Preempted: SIGTERM, SIGUSR1, SIGINT or SIGHUP came; the state was saved.
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
    """Ends the process once all are here: one that ends earlier ends others while they write."""
    devices.meet()
    if devices.main:
        logger.say_stopped()
    raise Preempted


def _due(state: TrainState, every: int) -> bool:
    """Whether something that happens every so many steps, and at the last, happens now."""
    return state.step % every == 0 or state.step == state.optim.steps


def _eager(devices: Devices) -> bool:
    """Whether numbers may be read every step: on a GPU each reading waits for the device."""
    return devices.device.type == "cpu"


def _step(
    state: TrainState, net: nn.Module, loss: Loss, batches: Batches, devices: Devices
) -> dict[str, Tensor]:
    """One optimizer step over all micro-batches; the means of the loss's terms, and the norm."""
    micros = state.optim.accumulate
    means: dict[str, Tensor] = {}
    for micro in range(micros):
        _seed(state.seed, state.step, micro, devices.rank)
        batch = batches.at(state.step, devices.rank, devices.world, micro, micros)
        batch = batch.to(devices.device)
        with devices.gradients(net, last=micro == micros - 1):
            with devices.autocast():
                terms = loss(net, batch)
            (terms["loss"] / micros).backward()  # type: ignore[no-untyped-call]
        for name, term in terms.items():
            means[name] = means.get(name, 0) + term.detach() / micros
        state.tokens += batch.tokens.numel() * devices.world
    return {**devices.mean(means), "grad_norm": state.descend()}


def _seed(*place: int) -> None:
    """Makes torch's own randomness (dropout) a function of where it is used."""
    torch.manual_seed(zlib.crc32(repr(place).encode()))
