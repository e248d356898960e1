"""What teachers need of an autoregressive model: by tokens, embeddings, suffixes (7.3–7.5)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tcsm.models.autoregressive import Autoregressive
from tcsm.nets.suffix import PrefixCache
from tcsm.nets.transformer import Transformer


class LeftToRight(nn.Module):
    """Next-token probabilities of an autoregressive model, by tokens, embeddings or suffixes.

    Args:
        model: its network has a row for each of its states in ``embedding``.
    """

    def __init__(self, model: Autoregressive) -> None:
        super().__init__()
        self.model = model

    @property
    def embedding(self) -> Float[Tensor, "V D"]:
        """Return W, one row per clean token."""
        table: Tensor = self.model.net.embedding  # type: ignore[assignment]
        return table[: self.model.net.vocabulary].detach()

    def log_next(
        self, x: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return log p(· | x^{<i}) at the chosen positions, float64."""
        logits: Tensor = self.model.net(self.model.shifted(x), None, positions)
        return torch.log_softmax(logits.double(), -1)

    def log_next_of(self, embedded: Float[Tensor, "B L D"]) -> Float[Tensor, "B L V"]:
        """Return log p(· | x^{<i}) at all positions as a function of the embeddings of x.

        Every input gets an embedding of its own: number 0 is the start's, then those of x.
        """
        net, (batch, length, _) = self.model.net, embedded.shape
        start: Tensor = net.embedding[net.vocabulary, None]  # type: ignore[index]
        own = torch.cat([start.detach(), embedded.flatten(0, 1)])
        ids = torch.arange(1, 1 + batch * length, device=embedded.device).view(batch, length)
        ids = torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], 1)
        logits = net.logits_in(own, ids)
        return torch.log_softmax(logits.double(), -1).view(batch, length, -1)

    def log_after(
        self,
        x: Int[Tensor, "B L"],
        place: tuple[Tensor, Tensor],
        tokens: Int[Tensor, "n K"],
        batch: int,
    ) -> Float[Tensor, "n K"]:
        """Return Σ_{j≥i} log p(x^j | x^{<j}) of each x^{i←y}; each prefix is read once.

        Args:
            x: sequences.
            place: row and column of each position.
            tokens: what is put there.
            batch: suffixes that the network sees at once.
        """
        net, (row, column), many = self.model.net, place, tokens.shape[1]
        assert isinstance(net, Transformer)
        logit_loss = self.model.shifted(x)
        cache = PrefixCache(net, logit_loss)
        log_next = torch.log_softmax(cache.logits[row, column].double(), -1)
        scores = log_next.gather(-1, tokens)
        for first in range(1, x.shape[1]):
            here = (column == first - 1).nonzero()[:, 0]
            for start in range(0, len(here), max(1, batch // many)):
                part = here[start : start + max(1, batch // many)]
                tails = logit_loss[row[part], None, first:].repeat(1, many, 1)
                tails[:, :, 0] = tokens[part]
                log_p = torch.log_softmax(cache.logits_after(row[part], tails).double(), -1)
                label = x[row[part], None, first:, None].expand(-1, many, -1, 1)
                scores[part] += log_p.gather(-1, label).sum((-1, -2))
        return scores
