"""The autoregressive model p₁(x) = ∏ᵢ p(x^i | x^{<i}): baseline, judge of samples, and teacher."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.errors import InputError
from tcsm.models.losses import LabelCrossEntropy
from tcsm.models.teacher import substitute
from tcsm.nets.base import Net
from tcsm.nets.head import WeightedLoss
from tcsm.nets.hub import Hub
from tcsm.nets.hub_suffix import HubPrefixCache
from tcsm.nets.suffix import PrefixCache, log_suffixes
from tcsm.nets.transformer import Transformer

SCRATCH = 2**28  # logits of a checkpoint that exist at once


class Autoregressive(nn.Module):
    """A causal network read one position ahead; its state V is the start symbol.

    Args:
        net: a causal network with one extra state.

    Raises:
        InputError: the network looks at the future.
    """

    def __init__(self, net: Net) -> None:
        if not net.causal:
            raise InputError("net.causal must be true for model=autoregressive, found false")
        super().__init__()
        self.net = net

    @property
    def embedding(self) -> Float[Tensor, "V D"]:
        """Return W, the network's table of embeddings, one row per clean token."""
        table: Tensor = self.net.embedding  # type: ignore[assignment]
        return table[: self.net.vocabulary].detach()

    def shifted(self, x: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
        """Return the network's input to predict x: the start symbol, then x without its end."""
        start = torch.full_like(x[:, :1], self.net.vocabulary)
        return torch.cat([start, x[:, :-1]], 1)

    def cross_entropy(self, x: Int[Tensor, "B L"], weight: Float[Tensor, "n"]) -> WeightedLoss:
        """Return Σ weight · (−log p(x^i | x^{<i})) over all positions, row-major."""
        everywhere = torch.ones_like(x, dtype=torch.bool)
        logit_loss = LabelCrossEntropy(x.flatten())
        result: WeightedLoss = self.net(self.shifted(x), None, everywhere, logit_loss, weight)
        return result

    def log_prob(
        self, x: Int[Tensor, "B L"], real: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B"]:
        """Return log p₁(x), exact, in nats; of the real positions given those before."""
        weight = torch.ones(x.numel(), device=x.device)
        nats = self.cross_entropy(x, weight).cross_entropy.view(x.shape).double()
        return -(nats if real is None else nats * real).sum(-1)

    def log_next(self, prefix: Int[Tensor, "B L"]) -> Float[Tensor, "B V"]:
        """Return log p(· | prefix) of the next token; the prefix may be empty."""
        padded = (
            torch.cat([prefix, torch.zeros_like(prefix[:, :1])], 1)
            if prefix.numel()
            else (torch.zeros(len(prefix), 1, dtype=torch.int64, device=prefix.device))
        )
        last = torch.zeros_like(padded, dtype=torch.bool)
        last[:, -1] = True
        return self.log_next_at(padded, last)

    def log_next_at(
        self, x: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return log p(· | x^{<i}) at the chosen positions, float64."""
        logits: Tensor = self.net(self.shifted(x), None, positions)
        return torch.log_softmax(logits.double(), -1)

    def log_next_of(self, embedded: Float[Tensor, "B L D"]) -> Float[Tensor, "B L V"]:
        """Return log p(· | x^{<i}) at all positions as a function of the embeddings of x.

        Every input gets an embedding of its own: number 0 is the start's, then those of x.
        """
        net, (batch, length, _) = self.net, embedded.shape
        start: Tensor = net.embedding[net.vocabulary, None]  # type: ignore[index]
        own = torch.cat([start.detach(), embedded.flatten(0, 1)])
        ids = torch.arange(1, 1 + batch * length, device=embedded.device).view(batch, length)
        ids = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], 1)
        logits = net.logits_in(own, ids)
        return torch.log_softmax(logits.double(), -1).view(batch, length, -1)

    def log_suffixes(
        self,
        x: Int[Tensor, "B L"],
        place: tuple[Tensor, Tensor],
        tokens: Int[Tensor, "n K"],
        batch: int,
    ) -> Float[Tensor, "n K"]:
        """Return Σ_{j≥i} log p(x^j | x^{<j}) of each x^{i←y}: log p₁ without the shared prefix.

        Args:
            x: sequences.
            place: row and column of each position i.
            tokens: the tokens y, x^i once among them.
            batch: sequences, or suffixes, that the network sees at once, at most.
        """
        if isinstance(self.net, Transformer):
            cache = PrefixCache(self.net, self.shifted(x))
            return log_suffixes(cache, x, place, tokens, batch)
        if isinstance(self.net, Hub):
            batch = max(1, min(batch, SCRATCH // (x.shape[1] * self.net.vocabulary)))
            library = HubPrefixCache(self.net, self.shifted(x))
            if library.usable:
                return log_suffixes(library, x, place, tokens, batch)
        row, column = place
        whole = substitute(x[row], column, tokens).flatten(0, 1)
        after = torch.arange(x.shape[1], device=x.device) >= column[:, None]
        after = after.repeat_interleave(tokens.shape[1], 0)
        starts = range(0, len(whole), batch)
        parts = [slice(start, start + batch) for start in starts]
        sums = [self._sum(whole[part], after[part]) for part in parts]
        return torch.cat(sums).view(tokens.shape) if sums else tokens.double()

    def _sum(self, x: Int[Tensor, "m L"], positions: Bool[Tensor, "m L"]) -> Float[Tensor, "m"]:
        """Return Σ log p(x^j | x^{<j}) over the chosen positions of each sequence."""
        label = self.log_next_at(x, positions).gather(-1, x[positions][:, None]).squeeze(-1)
        return label.new_zeros(len(x)).index_add(0, positions.nonzero()[:, 0], label)
