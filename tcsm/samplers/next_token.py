"""Sampling an autoregressive model: one token a network call, left to right. The baseline's."""

from dataclasses import dataclass

import torch
from torch import nn

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.nets.decoding import decoder
from tcsm.noise import batch_noise, categorical
from tcsm.samplers.base import Sampled, Sampler, device_of
from tcsm.samplers.conditioning import Conditioning, resolve_conditioning


@dataclass(frozen=True)
class NextToken(Sampler):
    """x^i ∼ p(· | x^{<i}), by one call per free position; ``steps`` has no effect.

    Each call reads one token and the keys and values of those before it.
    """

    @torch.no_grad()
    def __call__(
        self,
        model: nn.Module,
        count: int,
        length: int,
        seed: int,
        conditioning: Conditioning | None = None,
    ) -> Sampled:
        """Draw ``count`` sequences after a prefix; a pure function of the seed."""
        if not isinstance(model, Autoregressive):
            name = type(model).__name__
            raise InputError(f"sampler=next_token needs model=autoregressive, found {name}")
        known = resolve_conditioning(conditioning, length, model.net.vocabulary, device_of(model))
        u = batch_noise(seed, 0, count).uniform("token", length).to(device_of(model))
        first = known.prefix()
        x = known.tokens.repeat(count, 1)
        inputs, cache = model.shifted(x), decoder(model.net, length)
        new = inputs[:, : first + 1]
        for index in range(first, length):
            x[:, index] = categorical(cache.read(new), u[:, index])
            new = x[:, index, None]
        changed = (torch.arange(length, device=x.device) - first + 1).clamp(min=0).expand_as(x)
        return Sampled(x, length - first, changed)
