"""Brute force on tiny alphabets, in numpy's float64: what the tests hold the package against.

Nothing here imports the package. A position's noising is one matrix K[v, a] = p_{t|1}(a | v)
(1.1); everything else is Bayes' rule over all V^L sequences.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sequences(states: int, length: int) -> NDArray[np.int64]:
    """All states^length sequences in lexicographic order, shape (states^length, length)."""
    return np.indices((states,) * length).reshape(length, -1).T


def random_distribution(vocabulary: int, length: int, seed: int) -> Array:
    """A distribution p₁ with full support, far from any product, shape (V,) * L."""
    table = np.random.default_rng(seed).gamma(0.7, size=(vocabulary,) * length) + 1e-3
    return table / table.sum()


def kernel(alpha: float, vocabulary: int, masked: bool) -> Array:
    """K[v, a] = p_{t|1}(a | v), shape (V, states) (1.1)."""
    noise = np.zeros(vocabulary + 1) if masked else np.full(vocabulary, 1 / vocabulary)
    if masked:
        noise[vocabulary] = 1
    return alpha * np.eye(vocabulary, len(noise)) + (1 - alpha) * noise


def between(alpha_t: float, alpha_s: float, vocabulary: int, masked: bool) -> Array:
    """T[b, a] = p_{t|s}(a | b), t < s, shape (states, states): kernel(α_t) = kernel(α_s) T."""
    noise = kernel(0, vocabulary, masked)[0]
    ratio = alpha_t / alpha_s
    return ratio * np.eye(len(noise)) + (1 - ratio) * noise


def bayes(p_1: Array, x_t: NDArray[np.int64], matrix: Array) -> tuple[Array, float]:
    """The joint posterior p(x₁ | x_t), shape (V,) * L, and p_t(x_t)."""
    joint = p_1.copy()
    for position, state in enumerate(x_t):
        shape = [1] * p_1.ndim
        shape[position] = -1
        joint = joint * matrix[:, state].reshape(shape)
    total = float(joint.sum())
    return (joint / total if total > 0 else joint), total


def marginals(joint: Array) -> Array:
    """The position marginals of a table, shape (L, V)."""
    axes = range(joint.ndim)
    return np.stack([joint.sum(tuple(j for j in axes if j != i)) for i in axes])


def posterior_table(p_1: Array, matrix: Array) -> Array:
    """Marginals p(x₁^i | x_t) of every x_t, shape (states^L, L, V); uniform where p_t = 0."""
    vocabulary, states = matrix.shape
    table = np.full((states**p_1.ndim, p_1.ndim, vocabulary), 1 / vocabulary)
    for row, x_t in enumerate(sequences(states, p_1.ndim)):
        joint, total = bayes(p_1, x_t, matrix)
        if total > 0:
            table[row] = marginals(joint)
    return table


def marginal_distribution(p_1: Array, matrix: Array) -> Array:
    """p_t of every x_t, shape (states^L)."""
    return np.array([bayes(p_1, x, matrix)[1] for x in sequences(matrix.shape[1], p_1.ndim)])


def product_kernel(positions: Array) -> Array:
    """Transition matrix over sequences of independent positions, (N, L, states) to (N, N')."""
    count, length, states = positions.shape
    target = sequences(states, length)
    result = np.ones((count, len(target)))
    for position in range(length):
        result *= positions[:, position, target[:, position]]
    return result


def logit_quadrature(panels: int = 60, order: int = 12) -> tuple[Array, Array]:
    """Nodes α of (0, 1) and weights for ∫ dα, graded towards both ends.

    Gauss-Legendre panels in u = logit α over [−32, 30]: bounds are logarithmically singular at
    α = 1, and 1 − α still has three digits there.
    """
    node, weight = np.polynomial.legendre.leggauss(order)
    edge = np.linspace(-32, 30, panels + 1)
    half = (edge[1:] - edge[:-1])[:, None] / 2
    u = (edge[:-1, None] + half * (node + 1)).ravel()
    alpha = 1 / (1 + np.exp(-u))
    return alpha, (half * weight).ravel() * alpha / (1 + np.exp(u))


def total_variation(p: Array, q: Array) -> float:
    """½ Σ |p − q|."""
    return float(np.abs(p - q).sum() / 2)


def bradley_terry(reference: Array, reward: Array) -> Array:
    """P(w = a, l = b) = 2 ref(a) ref(b) σ(R(a) − R(b)), shape (N, N) (10.6)."""
    gap = reward[:, None] - reward[None]
    return 2 * reference[:, None] * reference[None] / (1 + np.exp(-gap))
