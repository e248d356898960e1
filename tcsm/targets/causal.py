"""Conditionals p₁(y | x^{≠i}) of an autoregressive p₁, exactly and by approximations (7.3–7.5).

OneSided   log p(y | x^{<i})                                          no look at the future
Exact      log p₁(x^{i←y}), all y                                     V sequences a position
Taylor     log p₁ to first order in the one-hot of x^i               one backward for all positions
TopK       the K best by one teacher exactly, the tail by another     K sequences a position
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tcsm.errors import InputError
from tcsm.models.teacher import Teacher
from tcsm.nets.transformer import Transformer
from tcsm.targets.base import substitute
from tcsm.targets.left_to_right import LeftToRight


class OneSided(Teacher):
    """Log p(y | x^{<i}): the past alone, hence biased; to rank candidates and to fill tails."""

    def __init__(self, model: LeftToRight) -> None:
        super().__init__()
        self.model = model

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the next-token log-probabilities."""
        return self.model.log_next(x_1, positions)


class Exact(Teacher):
    """softmax_y log p₁(x^{i←y}) (7.3).

    Args:
        model: p₁.
        batch: sequences that the network sees at once.
    """

    def __init__(self, model: LeftToRight, batch: int = 1024) -> None:
        if batch < 1:
            raise InputError(f"teacher.batch must be 1 or more, found {batch}")
        super().__init__()
        self.model, self.batch = model, batch

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return log p₁ of all V substitutions, normalized."""
        row, column = positions.nonzero(as_tuple=True)
        tokens = torch.arange(len(self.model.embedding), device=x_1.device)
        scores = self.log_suffix(x_1, (row, column), tokens.expand(len(row), -1))
        return torch.log_softmax(scores, -1)

    def log_suffix(
        self, x: Int[Tensor, "B L"], place: tuple[Tensor, Tensor], tokens: Int[Tensor, "n K"]
    ) -> Float[Tensor, "n K"]:
        """Return Σ_{j≥i} log p(x^j | x^{<j}) of each x^{i←y}: log p₁ without the shared prefix.

        Args:
            x: sequences.
            place: row and column of each position.
            tokens: what is put there.
        """
        if isinstance(self.model.model.net, Transformer):
            return self.model.log_after(x, place, tokens, self.batch)
        row, column = place
        whole = substitute(x[row], column, tokens).flatten(0, 1)
        after = torch.arange(x.shape[1], device=x.device) >= column[:, None]
        after = after.repeat_interleave(tokens.shape[1], 0)
        starts = range(0, len(whole), self.batch)
        parts = [slice(start, start + self.batch) for start in starts]
        sums = [self._sum(whole[part], after[part]) for part in parts]
        return torch.cat(sums).view(tokens.shape) if sums else tokens.double()

    def _sum(self, x: Int[Tensor, "m L"], positions: Bool[Tensor, "m L"]) -> Float[Tensor, "m"]:
        label = self.model.log_next(x, positions).gather(-1, x[positions][:, None]).squeeze(-1)
        return label.new_zeros(len(x)).index_add(0, positions.nonzero()[:, 0], label)


class Taylor(Teacher):
    """softmax_y G_i, log p₁(x^{i←y}) ≈ log p₁(x) + ⟨G_i, e_y − e_x⟩ (7.5).

        G_i = W (∂ log p₁/∂ embedding_i) + log p(· | x^{<i})

    x^i counts twice, as input of later predictions and as the label of its own. Exact where log
    p₁ is linear in the embeddings, else of second order in the step between two of them.

    Raises:
        InputError: the network reads more of a token than its embedding.
    """

    def __init__(self, model: LeftToRight) -> None:
        super().__init__()
        self.model = model
        self._require_embeddings()

    @torch.no_grad()
    def _require_embeddings(self) -> None:
        """Raises InputError if the network reads more of a token than its embedding."""
        table = self.model.embedding
        x = torch.arange(2, device=table.device)[None] % len(table)
        by_token = self.model.log_next(x, torch.ones_like(x, dtype=torch.bool))
        by_embedding = self.model.log_next_of(table[x])[0]
        if not torch.allclose(by_embedding, by_token, rtol=1e-3, atol=1e-3):
            raise InputError(
                "teacher=taylor: the network reads more of a token than its embedding, whose "
                "gradient is needed; set teacher=exact, top_k or one_sided"
            )

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return the first-order log-conditionals by one forward and one backward pass."""
        table = self.model.embedding
        with torch.enable_grad():
            embedded = table[x_1].requires_grad_()
            log_next = self.model.log_next_of(embedded)
            log_p = log_next.gather(-1, x_1[..., None]).sum()
            (slope,) = torch.autograd.grad(log_p, embedded)
        return torch.log_softmax((slope @ table.T + log_next.detach())[positions], -1)


class TopK(Teacher):
    """The K likeliest candidates exactly, x₁^i always among them (7.4).

    Args:
        exact: scores the candidates.
        k: K; V is exact whatever the rest.
        ranking: chooses the candidates.
        tail: gives the log-odds of the others to x₁^i; None for probabilities of 0, whose TV error
            is the mass that the others should have.
    """

    def __init__(
        self, exact: Exact, k: int, ranking: Teacher, tail: Teacher | None = None
    ) -> None:
        vocabulary = len(exact.model.embedding)
        if not 1 <= k <= vocabulary:
            raise InputError(f"teacher.k must lie in [1, {vocabulary}], found {k}")
        super().__init__()
        self.exact, self.k, self.ranking, self.tail = exact, k, ranking, tail

    def log_conditionals(
        self, x_1: Int[Tensor, "B L"], positions: Bool[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return exact values of the K best candidates and the tail's values of the others."""
        row, column = positions.nonzero(as_tuple=True)
        label = x_1[row, column][:, None]
        rank = self.ranking.log_conditionals(x_1, positions)
        best = rank.scatter(-1, label, torch.inf).topk(self.k).indices  # the label comes first
        scores = self.exact.log_suffix(x_1, (row, column), best).to(rank.dtype)
        others = torch.full_like(rank, -torch.inf)
        if self.tail is not None:
            same = self.tail is self.ranking  # one backward pass less if Taylor is both
            others = rank if same else self.tail.log_conditionals(x_1, positions)
            others = others - others.gather(-1, label) + scores[:, :1]
        return torch.log_softmax(others.scatter(-1, best, scores), -1)
