"""Conditionals of autoregressive teachers against enumeration of their joint distribution."""

import math

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.teacher import Tabulated
from tcsm.nets import suffix
from tcsm.nets.transformer import Transformer
from tcsm.targets.adapters import Exact, OneSided, Taylor, TopK
from tests.enumeration import sequences

V, L = 5, 4
X = torch.tensor([[0, 2, 1, 4], [2, 3, 0, 1], [4, 4, 1, 0]])
SITES = torch.tensor([[True, False, True, True], [False, True, False, True], [True] * 4])
LABEL = X[SITES][:, None]


def awake(stem=3, step=1.0):
    """A network far from its uniform initialization; tokens' embeddings lie `step` apart."""
    torch.manual_seed(1)
    net = Transformer(
        vocabulary=V, extra=1, dim=8, depth=2, heads=2, causal=True, stem=stem
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
        center = net.embedding[:1].clone()
        net.embedding.copy_(center + step * (net.embedding - center))
    return Autoregressive(net)


class Bigram(Autoregressive):
    """log p(x) = Σ_j ⟨e(x^{j−1}), T e(x^j)⟩: linear in every one-hot."""

    def __init__(self):
        super().__init__(awake().net)
        self.table = torch.randn(V + 1, V).double().log_softmax(-1)

    @property
    def embedding(self):
        return torch.eye(V).double()

    def log_next_at(self, x, positions):
        return self.log_next_of(self.embedding[x])[positions]

    def log_next_of(self, embedded):
        first = self.table[V].expand(len(embedded), 1, V)
        return torch.cat([first, embedded[:, :-1] @ self.table[:V]], 1)


def conditionals(teacher, model, x=X, positions=SITES):
    return teacher.attach(model).log_conditionals(x, positions)


def enumerated(model, x=X, positions=SITES):
    """The same from the table of the whole distribution."""
    everything = torch.from_numpy(sequences(V, L))
    log_next = model.log_next_at(everything, torch.ones_like(everything, dtype=torch.bool))
    joint = log_next.gather(-1, everything.flatten()[:, None]).view(-1, L).sum(-1)
    assert_close(joint.exp().sum().item(), 1.0)
    return Tabulated(joint.view((V,) * L)).log_conditionals(x, positions).detach()


@pytest.mark.parametrize("batch", [7, 1024])
@pytest.mark.parametrize("stem", [0, 3])
@torch.no_grad()
def test_exact_conditionals_are_those_of_the_joint_distribution(stem, batch):
    model = awake(stem)
    assert_close(conditionals(Exact(batch=batch), model), enumerated(model))
    assert conditionals(Exact(), model, X, torch.zeros_like(SITES)).shape == (0, V)


@torch.no_grad()
def test_only_the_suffix_is_scored():
    model, last = awake(), torch.tensor([[False, False, False, True]] * 3)
    assert_close(
        conditionals(Exact(), model, X, last),
        conditionals(OneSided(), model, X, last),
    )
    first = SITES.clone().fill_(False).index_fill(1, torch.tensor(0), True)
    gap = conditionals(Exact(), model, X, first) - conditionals(OneSided(), model, X, first)
    assert gap.abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize(("k", "batch"), [(1, 8), (2, 8), (V, 8), (V, 3), (V, 1024)])
@torch.no_grad()
def test_prefixes_are_read_once_and_suffixes_of_other_tokens_alone(k, batch):
    """B·L + (K − 1) Σ_i (L − 1 − i) positions a layer, at most ``batch`` suffixes at a time."""
    model, seen = awake(), []
    first = model.net.blocks[0].mlp
    first.register_forward_hook(lambda _, __, out: seen.append(out.shape[:-1]))
    positions = torch.rand(3, 9, generator=torch.Generator().manual_seed(0)) < 0.6
    x = torch.arange(27).view(3, 9) % V
    column = positions.nonzero()[:, 1]
    tokens = (x[positions][:, None] + torch.arange(k)) % V
    model.log_suffixes(x, positions.nonzero(as_tuple=True), tokens, batch)
    prefix, *suffixes = (math.prod(shape) for shape in seen)
    assert prefix == x.numel()
    assert sum(suffixes) == (k - 1) * int((8 - column).sum())
    assert all(shape[0] <= batch for shape in seen[1:])
    assert len(seen) <= 1 + 8 * math.ceil(3 / max(1, batch // max(1, k - 1))) * math.ceil(
        k / batch
    )


@pytest.mark.parametrize(("groups", "suffixes"), [(1, 1), (2, 2), (4, 3)])
@torch.no_grad()
def test_neighboring_positions_are_read_together(groups, suffixes, monkeypatch):
    """The number of calls does not grow with the length; the values stay."""
    model, calls = awake(), []
    expected = conditionals(Exact(), model)
    monkeypatch.setattr(suffix, "GROUPS", groups)
    model.net.blocks[0].mlp.register_forward_hook(lambda *_: calls.append(1))
    assert_close(conditionals(Exact(), model), expected)
    assert len(calls) == 1 + suffixes
    some = SITES.clone().fill_diagonal_(False)
    assert_close(conditionals(TopK(k=V), model, X, some), enumerated(model, X, some))


@torch.no_grad()
def test_logits_of_long_suffixes_exist_part_by_part(monkeypatch):
    model, largest = awake(), []
    expected = conditionals(Exact(), model)
    monkeypatch.setattr(suffix, "SCRATCH", 4 * V)
    model.net.head.register_forward_hook(lambda _, __, out: largest.append(out.numel()))
    assert_close(conditionals(Exact(), model), expected, rtol=0, atol=0)
    assert max(largest) == int(SITES.sum()) * V  # the answer itself; else four rows at a time
    assert sorted(largest)[-2] == 4 * V


def test_embeddings_give_what_tokens_give():
    model, everywhere = awake(), torch.ones_like(X, dtype=torch.bool)
    actual = model.log_next_of(model.embedding[X])
    assert_close(actual.flatten(0, 1), model.log_next_at(X, everywhere))


def test_taylor_is_exact_for_a_bigram_table():
    model = Bigram()
    assert_close(conditionals(Taylor(), model), enumerated(model))


def test_taylor_is_of_second_order_and_one_side_of_first():
    """Error by the step between embeddings, halved: a quarter and a half (7.5)."""
    errors = []
    for step in (0.02, 0.01):
        model = awake(stem=0, step=step)
        exact = enumerated(model)
        pair = (Taylor().attach(model), OneSided().attach(model))
        errors.append([(t.log_conditionals(X, SITES) - exact).abs().max().item() for t in pair])
    (taylor, one_sided), (halved, one_sided_halved) = errors
    assert taylor / halved == pytest.approx(4, rel=0.15)
    assert one_sided / one_sided_halved == pytest.approx(2, rel=0.15)
    assert taylor < 0.05 * one_sided


def test_taylor_needs_the_label_part():
    model = awake(stem=0, step=0.1)
    exact, embedded = enumerated(model), model.embedding[X].requires_grad_()
    log_p = model.log_next_of(embedded).gather(-1, X[..., None]).sum()
    input_part = torch.autograd.grad(log_p, embedded)[0] @ model.embedding.T
    wrong = (input_part[SITES].log_softmax(-1) - exact).abs().max()
    assert wrong > 10 * (conditionals(Taylor(), model) - exact).abs().max()


@pytest.mark.parametrize("tail", [False, True])
@torch.no_grad()
def test_top_v_is_exact(tail):
    model = awake()
    teacher = TopK(k=V, tail=OneSided() if tail else None).attach(model)
    assert_close(teacher.log_conditionals(X, SITES), enumerated(model))


@pytest.mark.parametrize("k", [1, 2, 4])
@torch.no_grad()
def test_a_tail_of_zeros_costs_its_missing_mass(k):
    model = awake()
    actual = conditionals(TopK(k=k), model).exp()
    exact = enumerated(model).exp()
    missing = exact.masked_fill(actual > 0, 0).sum(-1)
    assert ((actual > 0).sum(-1) == k).all()
    assert (actual.gather(-1, LABEL) > 0).all()
    assert_close((actual - exact).abs().sum(-1) / 2, missing)


@torch.no_grad()
def test_a_tail_is_calibrated_at_the_label():
    """Candidates have their exact odds to x₁, the others those of the tail's teacher."""
    model, left = awake(), OneSided().attach(awake())
    actual = conditionals(TopK(k=2, tail=OneSided()), model)
    odds = [part - part.gather(-1, LABEL) for part in (actual, enumerated(model))]
    by_tail = left.log_conditionals(X, SITES)
    by_tail = by_tail - by_tail.gather(-1, LABEL)
    exactly = torch.isclose(odds[0], odds[1], atol=1e-9)
    filled = torch.isclose(odds[0], by_tail, atol=1e-9)
    assert (exactly | filled).all()
    assert (exactly.sum(-1) >= 2).all()
    assert (filled & ~exactly).any()


def test_a_taylor_tail_beats_zeros():
    """The hybrid of (7.5): candidates by G, the others by G."""
    model = awake(step=0.3)
    exact = enumerated(model).exp()
    hybrids = [TopK(k=2, ranking=Taylor(), tail=tail).attach(model) for tail in (None, Taylor())]
    errors = [(it.log_conditionals(X, SITES).exp() - exact).abs().sum() for it in hybrids]
    assert errors[1] < 0.3 * errors[0]


@pytest.mark.parametrize("k", [0, V + 1])
def test_k_outside_the_alphabet_is_refused(k):
    model = awake()
    with pytest.raises(InputError, match=rf"teacher\.k .*{k}"):
        TopK(k=k).attach(model)
    with pytest.raises(InputError, match=r"teacher\.batch "):
        Exact(batch=0)
