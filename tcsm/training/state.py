"""The state of a training: weights, average, optimizer, step, time. No hidden state.

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
    """Return every parameter and persistent buffer by name, without copies; tied ones once."""
    once: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        once.setdefault(id(tensor), (name, tensor))
    return {name: tensor.detach() for name, tensor in once.values()}


def full_tensor(tensor: Tensor) -> Tensor:
    """Return a full tensor, gathered over the processes if sharded: all must call it."""
    gather = getattr(tensor, "full_tensor", None)
    return gather() if gather else tensor


def local_shard(tensor: Tensor) -> Tensor:
    """Return this process's shard of a tensor, sharing storage."""
    part = getattr(tensor, "to_local", None)
    return part() if part else tensor


def _local_shards(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return this process's shards of several tensors."""
    return {name: local_shard(tensor) for name, tensor in tensors.items()}


def check_match(tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor], what: str) -> None:
    """Check that both have the same names and shapes.

    Raises:
        InputError: A name or shape differs.
    """
    lacking, added = targets.keys() - tensors.keys(), tensors.keys() - targets.keys()
    for verb, names in (("lacks", lacking), ("adds", added)):
        if names:
            raise InputError(f"{what} {verb} {len(names)} tensors, among them {min(names)}")
    for name, tensor in targets.items():
        if tensors[name].shape != tensor.shape:
            raise InputError(
                f"{what} holds {name} of shape {tuple(tensors[name].shape)}, "
                f"expected {tuple(tensor.shape)}"
            )


def assign(targets: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy values by name into existing tensors."""
    with torch.no_grad():
        for name, tensor in targets.items():
            tensor.copy_(values[name])


def _like(value: Tensor, saved: Tensor) -> Tensor:
    """Return a copy of a value on the device of a tensor, sharded as the tensor is."""
    if local_shard(value) is value or not saved.ndim:
        return saved.to(value.device, copy=True)
    made = torch.empty_like(value)
    local_shard(made).copy_(saved)
    return made


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose name begins with the prefix, without the prefix."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


class TrainState:
    """A model in training.

    The model must already be on its device, since optimizer and average are created beside it.

    Attributes:
        model: The unwrapped network.
        optim: Configuration of the optimization.
        seed: Seed of the network's own randomness (dropout).
        step: Optimizer steps taken.
        tokens: Tokens of text seen, over all ranks: without prompts and padding.
        sequences: Sequences seen, over all ranks; None in a state of an earlier version.
        elapsed: Time spent, summed over restarts.
    """

    def __init__(self, model: nn.Module, optim: OptimConfig, seed: int = 0) -> None:
        self.model = model
        self.optim = optim
        self.seed = seed
        self.step = 0
        self.tokens = 0
        self.sequences: int | None = 0
        self.elapsed = Elapsed()
        self.optimizer = optim.optimizer(model)
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        averaged = self.trained if optim.ema else {}
        self.averages = {name: value.detach().clone() for name, value in averaged.items()}

    def descend(self) -> Tensor:
        """Take one optimizer step on the accumulated gradients; return their unclipped norm."""
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
        """Return the final weights: the averages where they are kept, else the last weights."""
        return {
            n: full_tensor(value)
            for n, value in {**named_tensors(self.model), **self.averages}.items()
        }

    @contextmanager
    def final_weights(self) -> Iterator[None]:
        """Put the final weights into the model within the block, for validation."""
        if not self.averages:
            yield
            return
        shards = {name: local_shard(value) for name, value in self.trained.items()}
        live = {name: value.detach().clone() for name, value in shards.items()}
        try:
            self._put(shards, _local_shards(self.averages))
            yield
        finally:
            self._put(shards, live)

    def _put(self, targets: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
        """Copy values into the model; sharded modules must gather them anew."""
        assign(targets, values)
        for part in self.model.modules():
            if forget := getattr(part, "reshard", None):
                forget()

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as flat names to tensors (or local shards), sharing storage."""
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
            "count": torch.tensor(
                [n for n in (self.step, self.tokens, self.sequences) if n is not None]
            ),
            "elapsed": torch.tensor(
                [self.elapsed.seconds, self.elapsed.cpu_seconds], dtype=torch.float64
            ),
        }

    def require_fit(self, tensors: Mapping[str, Tensor]) -> None:
        """Check that ``load`` can use these tensors.

        Raises:
            InputError: Names or shapes are not this state's.
        """
        check_match(
            _below("model.", tensors), _local_shards(named_tensors(self.model)), "the saved model"
        )
        check_match(_below("ema.", tensors), _local_shards(self.averages), "the saved average")

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Load exactly the state of ``tensors``; everything is checked before any change.

        Raises:
            InputError: Names or shapes are not this state's.
        """
        self.require_fit(tensors)
        assign(_local_shards(named_tensors(self.model)), _below("model.", tensors))
        assign(_local_shards(self.averages), _below("ema.", tensors))
        for name, value in self.trained.items():
            slots = _below(f"optimizer.{name}.", tensors)
            self.optimizer.state[value] = {
                slot: _like(value, tensor) for slot, tensor in slots.items()
            }
        self.step, self.tokens, *later = map(int, tensors["count"].tolist())
        self.sequences = later[0] if later else None
        self.elapsed = Elapsed(*tensors["elapsed"].tolist())
