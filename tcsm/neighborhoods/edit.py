"""Edits at fixed length: one token inserted and the last one dropped, or one deleted.

    insert(i, v):  x^{<i} v x^i … x^{e−1}           delete(i, v):  x^{<i} x^{i+1} … x^e v     (6.7)

i runs over the noised positions and e is the end of the noised span of i: visible tokens do not
move, or the posterior of a neighbor would be 0. insert(i, v) is undone by delete(i, x^e), so that
not distinct results but operations are listed and drawn: their multiplicities are symmetric.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from tcsm.neighborhoods.base import Neighborhood, Neighbors, require_tokens
from tcsm.noise import Noise


@dataclass(frozen=True)
class Edit(Neighborhood):
    """The 2nV operations, each of weight 1/(2nV); all sequences are connected by them.

    Raises:
        InputError: fewer than two tokens.
    """

    vocabulary: int
    symmetric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse fewer than two tokens, which have no edits."""
        require_tokens(self.vocabulary)

    def enumerate(self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"]) -> Neighbors:
        """Return 2LV entries; those at visible positions have weight 0."""
        sizes = (torch.arange(size, device=x.device) for size in (2, x.shape[1], self.vocabulary))
        every = torch.cartesian_prod(*sizes).unbind(-1)
        kind, position, token = (part.expand(len(x), -1) for part in every)
        return _operate(
            x, noised, kind == 1, position, token, 2 * self.vocabulary * noised.sum(-1)
        )

    def draw(
        self, x: Int[Tensor, "B L"], noised: Bool[Tensor, "B L"], count: int, noise: Noise
    ) -> Neighbors:
        """Return uniformly drawn operations."""
        u = noise.uniform("edit", count, 3)
        places = noised.double().cumsum(-1)
        chosen = torch.searchsorted(places, u[..., 0] * places[:, -1:], right=True)
        position = chosen.clamp(max=x.shape[1] - 1)
        token = (u[..., 1] * self.vocabulary).long()
        return _operate(
            x, noised, u[..., 2] < 0.5, position, token, torch.full_like(x[:, 0], count)
        )


def _operate(
    x: Int[Tensor, "B L"],
    noised: Bool[Tensor, "B L"],
    insert: Bool[Tensor, "B N"],
    position: Int[Tensor, "B N"],
    token: Int[Tensor, "B N"],
    share: Int[Tensor, "B"],
) -> Neighbors:
    """Return one operation's result per neighbor, of weight 1/share, 0 at visible positions."""
    length = x.shape[1]
    place = torch.arange(length, device=x.device)
    first, last = position[..., None], _ends(noised).gather(1, position)[..., None]
    inside = (place >= first) & (place <= last)
    step = torch.where(insert, -1, 1)[..., None]
    source = torch.where(inside, (place + step).clamp(0, length - 1), place)
    tokens = x[:, None].expand(*position.shape, length).gather(-1, source)
    fresh = torch.where(insert[..., None], first, last)
    valid = noised.gather(1, position)
    tokens = torch.where((place == fresh) & valid[..., None], token[..., None], tokens)
    tokens = torch.where(noised[:, None], tokens, x[:, None])
    return Neighbors(
        place.expand(tokens.shape), tokens, valid / share.clamp(min=1).double()[:, None]
    )


def _ends(noised: Bool[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    """Return the last position of the noised span that contains each noised position."""
    length = noised.shape[1]
    place = torch.arange(length, device=noised.device)
    visible = torch.where(noised, length, place)
    return visible.flip(-1).cummin(-1).values.flip(-1) - 1
