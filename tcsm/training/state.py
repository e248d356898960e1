"""All that a run has learned so far: weights, average, optimizer, step, time. No hidden state.

Data order and noise are functions of (seed, step), so this is everything a restart needs.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.training.optim import Recipe
from tcsm.training.telemetry import Elapsed


def named(model: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer by name, sharing storage; a tied tensor comes once."""
    once: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        once.setdefault(id(tensor), (name, tensor))
    return {name: tensor.detach() for name, tensor in once.values()}


def check_match(found: Mapping[str, Tensor], own: Mapping[str, Tensor], what: str) -> None:
    """Raises InputError unless both have the same names and shapes."""
    for verb, names in (("lacks", own.keys() - found.keys()), ("adds", found.keys() - own.keys())):
        if names:
            raise InputError(f"{what} {verb} {len(names)} tensors, among them {min(names)}")
    for name, tensor in own.items():
        if found[name].shape != tensor.shape:
            raise InputError(
                f"{what} holds {name} of shape {tuple(found[name].shape)}, "
                f"expected {tuple(tensor.shape)}"
            )


def assign(own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Copies values by name into tensors that already exist."""
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(found[name])


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with the prefix, without it."""
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


class TrainState:
    """A model in training.

    The model must already be on its device, since optimizer and average live beside it.

    Attributes:
        model: the bare network, never a wrapped one.
        recipe: how it is trained.
        seed: of the network's own randomness (dropout).
        step: optimizer steps taken.
        tokens: tokens seen, over all ranks.
        elapsed: time spent, summed over restarts.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, seed: int = 0) -> None:
        self.model = model
        self.recipe = recipe
        self.seed = seed
        self.step = 0
        self.tokens = 0
        self.elapsed = Elapsed()
        self.optimizer = recipe.optimizer(model)
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        averaged = self.trained if recipe.ema else {}
        self.averages = {name: value.detach().clone() for name, value in averaged.items()}

    def descend(self) -> Tensor:
        """Takes one step along the gradients accumulated so far; returns their unclipped norm."""
        values = list(self.trained.values())
        norm = nn.utils.clip_grad_norm_(values, self.recipe.clip or math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.recipe.ema:
            self.recipe.ema.update(list(self.averages.values()), values, self.step)
        return norm

    def weights(self) -> dict[str, Tensor]:
        """What the run is for: the averaged weights where an average is kept, else the last."""
        return {**named(self.model), **self.averages}

    def tensors(self) -> dict[str, Tensor]:
        """The whole state by flat names, sharing storage with the living one."""
        moments = {
            f"optimizer.{name}.{slot}": tensor
            for name, value in self.trained.items()
            for slot, tensor in self.optimizer.state[value].items()
        }
        return {
            **{f"model.{name}": tensor for name, tensor in named(self.model).items()},
            **{f"ema.{name}": tensor for name, tensor in self.averages.items()},
            **moments,
            "count": torch.tensor([self.step, self.tokens]),
            "elapsed": torch.tensor(
                [self.elapsed.seconds, self.elapsed.cpu_seconds], dtype=torch.float64
            ),
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Becomes exactly the state that ``tensors`` described; all is checked before any change.

        Raises:
            InputError: names or shapes are not this state's.
        """
        model, averages = named(self.model), self.averages
        check_match(_below("model.", tensors), model, "the saved model")
        check_match(_below("ema.", tensors), averages, "the saved average")
        assign(model, _below("model.", tensors))
        assign(averages, _below("ema.", tensors))
        for name, value in self.trained.items():
            slots = _below(f"optimizer.{name}.", tensors)
            self.optimizer.state[value] = {
                slot: tensor.to(value.device, copy=True) for slot, tensor in slots.items()
            }
        self.step, self.tokens = map(int, tensors["count"].tolist())
        self.elapsed = Elapsed(*tensors["elapsed"].tolist())
