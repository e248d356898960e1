"""All that a run has learned so far: weights, average, optimizer, step, time. No hidden state.

Data order and noise are functions of (seed, step), so this is everything a restart needs.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.training.optim import OptimConfig
from tcsm.training.telemetry import Elapsed


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer by name, sharing storage; a tied tensor comes once."""
    once: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        once.setdefault(id(tensor), (name, tensor))
    return {name: tensor.detach() for name, tensor in once.values()}


def full_tensor(tensor: Tensor) -> Tensor:
    """A tensor, gathered if processes share it: then all must ask."""
    gather = getattr(tensor, "full_tensor", None)
    return gather() if gather else tensor


def local_shard(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, sharing storage."""
    part = getattr(tensor, "to_local", None)
    return part() if part else tensor


def _local_shards(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What this process holds of several."""
    return {name: local_shard(tensor) for name, tensor in tensors.items()}


def check_match(found: Mapping[str, Tensor], ours: Mapping[str, Tensor], what: str) -> None:
    """Raises InputError unless both have the same names and shapes."""
    lacking, added = ours.keys() - found.keys(), found.keys() - ours.keys()
    for verb, names in (("lacks", lacking), ("adds", added)):
        if names:
            raise InputError(f"{what} {verb} {len(names)} tensors, among them {min(names)}")
    for name, tensor in ours.items():
        if found[name].shape != tensor.shape:
            raise InputError(
                f"{what} holds {name} of shape {tuple(found[name].shape)}, "
                f"expected {tuple(tensor.shape)}"
            )


def assign(ours: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Copies values by name into tensors that already exist."""
    with torch.no_grad():
        for name, tensor in ours.items():
            tensor.copy_(found[name])


def _like(value: Tensor, found: Tensor) -> Tensor:
    """What was found, a tensor of its own; spread as the value is, if it is a part of such."""
    if local_shard(value) is value or not found.ndim:
        return found.to(value.device, copy=True)
    made = torch.empty_like(value)
    local_shard(made).copy_(found)
    return made


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with the prefix, without it."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


class TrainState:
    """A model in training.

    The model must already be on its device, since optimizer and average live beside it.

    Attributes:
        model: the bare network, never a wrapped one.
        optim: how it is trained.
        seed: of the network's own randomness (dropout).
        step: optimizer steps taken.
        tokens: tokens seen, over all ranks.
        elapsed: time spent, summed over restarts.
    """

    def __init__(self, model: nn.Module, optim: OptimConfig, seed: int = 0) -> None:
        self.model = model
        self.optim = optim
        self.seed = seed
        self.step = 0
        self.tokens = 0
        self.elapsed = Elapsed()
        self.optimizer = optim.optimizer(model)
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        averaged = self.trained if optim.ema else {}
        self.averages = {name: value.detach().clone() for name, value in averaged.items()}

    def descend(self) -> Tensor:
        """Takes one step along the gradients accumulated so far; returns their unclipped norm."""
        values = list(self.trained.values())
        norm = nn.utils.clip_grad_norm_(values, self.optim.clip or math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = self.optim.rate(self.step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.optim.ema:
            self.optim.ema.update(list(self.averages.values()), values, self.step)
        return full_tensor(norm)

    def weights(self) -> dict[str, Tensor]:
        """What the run is for: the averaged weights where an average is kept, else the last."""
        return {
            n: full_tensor(value)
            for n, value in {**named_tensors(self.model), **self.averages}.items()
        }

    @contextmanager
    def final_weights(self) -> Iterator[None]:
        """For a while the model has the weights that the run is for: what is validated."""
        if not self.averages:
            yield
            return
        ours = {name: local_shard(value) for name, value in self.trained.items()}
        live = {name: value.detach().clone() for name, value in ours.items()}
        try:
            self._put(ours, _local_shards(self.averages))
            yield
        finally:
            self._put(ours, live)

    def _put(self, ours: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
        """Gives the model other values; processes that share it must gather them anew."""
        assign(ours, values)
        for part in self.model.modules():
            if forget := getattr(part, "reshard", None):
                forget()

    def tensors(self) -> dict[str, Tensor]:
        """The whole state by flat names, or what this process holds; shares its storage."""
        moments = {
            f"optimizer.{name}.{slot}": local_shard(tensor)
            for name, value in self.trained.items()
            for slot, tensor in self.optimizer.state[value].items()
        }
        return {
            **{
                f"model.{name}": tensor
                for name, tensor in _local_shards(named_tensors(self.model)).items()
            },
            **{f"ema.{name}": tensor for name, tensor in _local_shards(self.averages).items()},
            **moments,
            "count": torch.tensor([self.step, self.tokens]),
            "elapsed": torch.tensor(
                [self.elapsed.seconds, self.elapsed.cpu_seconds], dtype=torch.float64
            ),
        }

    def require_fit(self, tensors: Mapping[str, Tensor]) -> None:
        """Holds tensors against what ``load`` needs.

        Raises:
            InputError: names or shapes are not this state's.
        """
        check_match(
            _below("model.", tensors), _local_shards(named_tensors(self.model)), "the saved model"
        )
        check_match(_below("ema.", tensors), _local_shards(self.averages), "the saved average")

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Becomes exactly the state that ``tensors`` described; all is checked before any change.

        Raises:
            InputError: names or shapes are not this state's.
        """
        self.require_fit(tensors)
        assign(_local_shards(named_tensors(self.model)), _below("model.", tensors))
        assign(_local_shards(self.averages), _below("ema.", tensors))
        for name, value in self.trained.items():
            slots = _below(f"optimizer.{name}.", tensors)
            self.optimizer.state[value] = {
                slot: _like(value, tensor) for slot, tensor in slots.items()
            }
        self.step, self.tokens = map(int, tensors["count"].tolist())
        self.elapsed = Elapsed(*tensors["elapsed"].tolist())
