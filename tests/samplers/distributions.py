"""Exact distributions of samplers, in numpy, and how far an empirical one may stray."""

import itertools

import numpy as np
import torch

from tests.enumeration import between, kernel, posterior_table, product_kernel, sequences


def leap(q, alpha_t, alpha_s, masked):
    """Each noised position becomes a draw of q with probability J, (N, L, states) (12.1, 12.2)."""
    vocabulary, length = q.shape[-1], q.shape[1]
    states = vocabulary + masked
    jump = (alpha_s - alpha_t) / (1 - alpha_t)
    x_t = sequences(states, length)
    stay = np.eye(states)[x_t]
    distribution = (1 - jump) * stay + jump * np.pad(q, ((0, 0), (0, 0), (0, states - vocabulary)))
    return np.where((x_t == vocabulary)[..., None], distribution, stay) if masked else distribution


def ancestral(q, alpha_t, alpha_s, masked):
    """Bayes on the forward kernels, mixed over x₁ ∼ q, (N, L, states) (8.3)."""
    vocabulary, length = q.shape[-1], q.shape[1]
    first = kernel(alpha_s, vocabulary, masked)
    second = between(alpha_t, alpha_s, vocabulary, masked)
    joint = first[:, :, None] * second[None]  # x₁, x_s, x_t
    total = joint.sum(1, keepdims=True)
    bridge = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    x_t = sequences(vocabulary + masked, length)
    distribution = np.einsum("nlv,nlvs->nls", q, np.moveaxis(bridge, (0, 1, 2), (1, 2, 0))[x_t])
    states = vocabulary + masked
    return (
        np.where((x_t == vocabulary)[..., None], distribution, np.eye(states)[x_t])
        if masked
        else distribution
    )


def output_distribution(step, p_1, masked, alphas):
    """Distribution over clean sequences after walking the grid with the exact posterior, (V^L)."""
    vocabulary, length = len(p_1), p_1.ndim
    states = vocabulary + masked
    x = sequences(states, length)
    distribution = np.prod(kernel(0, vocabulary, masked)[0][x], -1)
    for alpha_t, alpha_s in itertools.pairwise(alphas):
        q = posterior_table(p_1, kernel(alpha_t, vocabulary, masked))
        distribution = distribution @ product_kernel(step(q, alpha_t, alpha_s, masked))
    clean = (x < vocabulary).all(-1)
    assert distribution[~clean].sum() < 1e-12
    return distribution[clean]


def chi_square(tokens, distribution):
    """Pearson's statistic of drawn sequences against a distribution, and its bound.

    The statistic has mean m − 1 and variance 2(m − 1) for m cells; six standard deviations
    above are exceeded by chance less than once in 10⁴.
    """
    count, length = tokens.shape
    vocabulary = round(len(distribution) ** (1 / length))
    place = (tokens * vocabulary ** torch.arange(length - 1, -1, -1)).sum(-1)
    seen = place.bincount(minlength=len(distribution)).numpy()
    freedom = len(distribution) - 1
    statistic = ((seen - count * distribution) ** 2 / (count * distribution)).sum()
    return statistic, freedom + 6 * (2 * freedom) ** 0.5
