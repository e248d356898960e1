"""Token graphs: symmetric, connected or refused, and what they identify."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.bregman import bce, generalized_kl, hellinger
from tcsm.errors import InputError
from tcsm.neighborhoods.base import PerPosition, require_symmetric
from tcsm.neighborhoods.semantic import Semantic, nearest, require_connected, scattered
from tcsm.noise import batch_noise

V, L = 6, 3
CLUSTERS = torch.tensor([[0.0], [0.1], [0.25], [9.0], [9.1], [9.25]])
X = torch.tensor([[0, 3, 5], [1, 1, 2]])
OPEN = torch.tensor([[True, False, True], [True, True, True]])


def clusters():
    return CLUSTERS


CONNECTED = Semantic(clusters, near=1, random=1)


@dataclasses.dataclass(frozen=True)
class Parts(PerPosition):
    """Two clusters that nothing joins: what `Semantic` refuses."""

    symmetric = True
    enumerate = Semantic.enumerate
    position_loss = Semantic.position_loss
    neighbors = torch.tensor([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]])


def test_nearest_and_random_edges():
    assert nearest(CLUSTERS, 1).nonzero().tolist() == [
        [0, 1],
        [1, 0],
        [2, 1],
        [3, 4],
        [4, 3],
        [5, 4],
    ]
    edges = scattered(50, 3, seed=0)
    assert (edges.sum(-1) == 3).all()
    assert not edges.diagonal().any()
    assert torch.equal(edges, scattered(50, 3, seed=0))
    assert not torch.equal(edges, scattered(50, 3, seed=1))


def test_the_graph_is_symmetric_and_without_loops():
    table = CONNECTED.neighbors
    edges = {(a, b) for a, row in enumerate(table.tolist()) for b in row if a != b}
    assert edges == {(b, a) for a, b in edges}
    assert {(0, 1), (2, 1), (3, 4), (5, 4)} <= edges
    degrees = [sum(a == v for a, _ in edges) for v in range(V)]
    assert table.shape == (V, max(degrees))


def test_a_disconnected_graph_is_refused_with_the_reason():
    with pytest.raises(InputError, match=r"3 of 6 tokens, 3 among them, cannot.*odds.*\(2\.2\)"):
        _ = Semantic(clusters, near=1, random=0).neighbors
    chain = torch.eye(5).roll(1, 0).bool()
    require_connected(chain | chain.T)


def test_a_directed_neighborhood_is_refused_with_the_reason():
    """(2.4): with edges one way round the sample form is least elsewhere, by enumeration."""

    @dataclasses.dataclass(frozen=True)
    class Circle(Parts):
        symmetric = False
        neighbors = torch.arange(V)[:, None].roll(-1, 0)

    p = torch.tensor([0.3, 0.05, 0.1, 0.2, 0.25, 0.1]).double()
    logits = p.log().requires_grad_()
    expected(Circle(), p, logits, bce).backward()
    assert logits.grad.abs().max() > 1e-2
    require_symmetric(CONNECTED)
    with pytest.raises(InputError, match=r"Circle is not.*in-neighbors.*\(2\.4\); let x be"):
        require_symmetric(Circle())


@pytest.mark.parametrize("divergence", [generalized_kl, bce, hellinger])
def test_positions_list_and_sequences_agree(divergence):
    log_q = torch.randn(2, L, V).double().log_softmax(-1)
    near = CONNECTED.enumerate(X, OPEN)
    listed = near.sum(divergence.pair(near.log_ratio(log_q, X)))
    for row in range(2):
        positions = CONNECTED.position_loss(divergence, log_q[row, OPEN[row]], X[row, OPEN[row]])
        assert_close(listed[row], positions.mean())
    whole = CONNECTED.sequence_loss(divergence, log_q[OPEN], X, OPEN, batch_noise(0, 0, 2))
    assert_close(whole, listed)


def test_weights_are_symmetric_though_degrees_differ():
    everywhere = torch.ones(V, 1).bool()
    near = CONNECTED.enumerate(torch.arange(V)[:, None], everywhere)
    matrix = torch.zeros(V, V).double().scatter_add(1, near.tokens[..., 0], near.weight)
    assert torch.equal(matrix, matrix.T)
    assert len({int(count) for count in (matrix > 0).sum(-1)}) > 1


def expected(ball, p, logits, divergence):
    """E_{x ∼ p} of the loss of one position."""
    log_q = logits.log_softmax(-1).expand(V, -1)
    return (p * ball.position_loss(divergence, log_q, torch.arange(V))).sum()


@pytest.mark.parametrize("divergence", [generalized_kl, bce, hellinger])
def test_a_distribution_is_identified_if_and_only_if_the_graph_is_connected(divergence):
    """(6.8): p is stationary for both; odds between clusters matter to the connected one only."""
    p = torch.tensor([0.3, 0.05, 0.1, 0.2, 0.25, 0.1]).double()
    tilt = torch.tensor([0.7, 0.7, 0.7, 0, 0, 0]).double()
    for ball, free in ((Parts(), True), (CONNECTED, False)):
        logits = p.log().requires_grad_()
        loss = expected(ball, p, logits, divergence)
        loss.backward()
        assert_close(logits.grad, torch.zeros(V).double(), atol=1e-12, rtol=0)
        change = expected(ball, p, p.log() + tilt, divergence) - loss
        assert (change.abs() < 1e-12) if free else (change > 1e-3)
        assert expected(ball, p, p.log() + torch.randn(V).double(), divergence) > loss


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"near": -1}, r"neighborhood\.near must be 0 or more, found -1"),
        ({"near": 0, "random": 0}, "must be 1 or more, found 0"),
    ],
)
def test_refusals(fields, message):
    with pytest.raises(InputError, match=message):
        Semantic(clusters, **fields)


def test_more_neighbors_than_tokens_are_refused():
    with pytest.raises(InputError, match="must be 5 at most"):
        _ = Semantic(clusters, near=6).neighbors
