"""One noised state for two sequences, whose distribution is symmetric in them (10.7).

A preference compares log p(x | x_t) of a winner and a loser. The normalizer Z_t(x_t) cancels only
at one x_t for both, and x_t must not reveal from which of them it was drawn:

    anchor ∼ fair coin on {winner, loser},    x_t ∼ p_{t|1}(· | anchor),
    redrawn from the source where x_t is visible though the two differ

Uniform noise makes no position visible, so this is noise on one of both. With masks, a random part
of the positions where the two agree is visible, and all positions that differ are masked.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.process.corruption import Corrupted, Corruption


@dataclass(frozen=True)
class SharedCorruption:
    """A distribution of (t, x_t) given a winner and a loser.

    The time is that of the anchor. With masks no posterior depends on it, but a network that
    takes it sees more masks than in training at that time.

    Attributes:
        corruption: distribution of (t, x_t) given one sequence.
    """

    corruption: Corruption

    def __call__(
        self,
        winner: Int[Tensor, "B L"],
        loser: Int[Tensor, "B L"],
        noise: Noise,
        real: tuple[Bool[Tensor, "B L"], Bool[Tensor, "B L"]] | None = None,
    ) -> tuple[Corrupted, Corrupted]:
        """Return winner and loser, with one x_t and t and the noised positions of their own text.

        A position that is padding of both is no text. One that is padding of the shorter alone is
        noised as the longer's, or x_t would reveal their lengths, and is visible in the shorter.
        """
        either = None if real is None else real[0] | real[1]
        coin = noise.uniform("anchor")[:, None] < 1 / 2
        batch = self.corruption(torch.where(coin, winner, loser), noise, either)
        source = self.corruption.path.source
        revealing = (winner != loser) & ~batch.noised
        fresh = source.draw(noise.uniform("afresh", winner.shape[1]))
        x_t = torch.where(revealing, fresh, batch.x_t)
        noised = source.noised(x_t)
        if real is None:
            shared = (x_t, batch.t, noised, batch.omega)
            return Corrupted(winner, *shared), Corrupted(loser, *shared)
        first, second = (
            Corrupted(x_1, x_t, batch.t, noised & text, batch.omega, text)
            for x_1, text in zip((winner, loser), real, strict=True)
        )
        return first, second


def halves(rows: Shaped[Tensor, "B M"], length: int) -> tuple[Tensor, Tensor]:
    """Split rows [winner | loser] of L tokens each.

    Raises:
        InputError: rows of another size.
    """
    if rows.shape[1] != 2 * length:
        raise InputError(
            f"batches: a pair is a row of {2 * length} tokens, twice data.length, found "
            f"{rows.shape[1]}; set batches=pairs or batches=pair_file"
        )
    return rows[:, :length], rows[:, length:]
