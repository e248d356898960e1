"""Ratios of whole sequences: negatives are averaged, and what it costs a product to have one."""

import itertools
import warnings

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.bregman import bce, generalized_kl, lsif
from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.noise import batch_noise
from tcsm.objectives.base import OpenMean
from tcsm.objectives.density_ratio import SequenceDensityRatio, at_sequences
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import random_distribution, sequences
from tests.tables import FixedCorruption, Table, TableEnergy, corrupted

V, L = 2, 3
PATH = Path(Mask(V), Linear())
ALL = torch.from_numpy(sequences(V, L))
MASKED = corrupted(PATH, ALL, torch.full_like(ALL, V), torch.full((len(ALL),), 0.5))
REFERENCE = torch.randn(L, V, generator=torch.Generator().manual_seed(1)).double()
OFF = "moves a posterior of independent positions off the marginals"


def log_p(logits):
    """Log of the product, of every sequence."""
    log_q = logits.log_softmax(-1)
    return sum(log_q[i][ALL[:, i]] for i in range(L))


def expected(objective, logits, p):
    """The loss over all data and all negatives."""
    log_r = log_p(logits) - log_p(REFERENCE)
    nothing = torch.zeros(len(ALL)).double()
    at_data = objective.contrast(log_r, nothing[:, None])
    at_reference = objective.contrast(nothing, log_r[:, None])
    return (p * at_data + log_p(REFERENCE).exp() * at_reference).sum()


def found(divergence, p):
    """The optimum over products, by Newton's method on logits."""
    objective = SequenceDensityRatio(CountSampling(PATH), OpenMean(), divergence)
    free = torch.zeros(L).double().requires_grad_()
    best = torch.optim.LBFGS(
        [free], max_iter=500, tolerance_grad=1e-11, line_search_fn="strong_wolfe"
    )

    def loss():
        best.zero_grad()
        value = expected(objective, torch.stack([free, -free], -1), p)
        value.backward()
        return value

    best.step(loss)
    return torch.stack([free, -free], -1).detach().softmax(-1)


def test_generalized_kl_finds_the_marginals_and_others_do_not():
    """(9.3), for a distribution that is no product."""
    distribution = torch.from_numpy(random_distribution(V, L, 0))
    truth = torch.stack([distribution.sum([j for j in range(L) if j != i]) for i in range(L)])
    p = distribution.flatten()
    assert_close(found(generalized_kl, p), truth, atol=1e-6, rtol=0)
    for other in (bce, lsif):
        assert (found(other, p) - truth).abs().max() > 0.01


def test_of_a_product_the_ratio_is_found_by_all():
    logits = torch.randn(L, V, generator=torch.Generator().manual_seed(2)).double()
    p = log_p(logits).exp()
    for divergence in (bce, generalized_kl):
        assert_close(found(divergence, p), logits.softmax(-1), atol=1e-5, rtol=0)


def test_negatives_are_averaged():
    """(9.5): by enumeration of two negatives it is the loss of one."""
    log_r, log_ref = torch.randn(len(ALL)).double(), log_p(REFERENCE)
    for divergence in (bce, generalized_kl, lsif):
        one = SequenceDensityRatio(CountSampling(PATH), OpenMean(), divergence)
        x = log_r[3:4]
        single = sum(
            log_ref[a].exp() * one.contrast(x, log_r[a].view(1, 1)) for a in range(len(ALL))
        )
        pairs = itertools.product(range(len(ALL)), repeat=2)
        double = sum(
            (log_ref[a] + log_ref[b]).exp() * one.contrast(x, log_r[[a, b]][None])
            for a, b in pairs
        )
        assert_close(single, double)


def test_the_loss_of_a_batch_is_that_of_its_draws():
    x_t = MASKED.x_t.clone()
    x_t[::2, 1] = ALL[::2, 1]
    drawn = corrupted(PATH, ALL, x_t, MASKED.t)
    model, reference = (
        Factorized(Table(torch.randn(L, V)), PATH),
        Factorized(Table(REFERENCE), PATH),
    )
    objective = SequenceDensityRatio(
        FixedCorruption(PATH, drawn), OpenMean(), bce, negatives=5, reference=reference
    )
    noise = batch_noise(4, 0, len(ALL))
    with pytest.warns(UserWarning, match=OFF):
        terms = objective(model, ALL, noise)
    negatives = reference.candidates(x_t, drawn.t, drawn.noised, 5, noise)
    assert (negatives[::2, :, 1] == ALL[::2, None, 1]).all()
    log_r = model.net.logits.log_softmax(-1) - REFERENCE.log_softmax(-1)

    def at(x):
        each = torch.stack([log_r[i][x[..., i]] for i in range(L)], -1)
        return (each * drawn.noised[:, None]).sum(-1)

    positive, negative = at(ALL[:, None]), at(negatives)
    by_hand = objective.contrast(positive[:, 0], negative).mean()
    assert_close(terms["loss"], by_hand)
    assert_close(terms["margin"], (positive - negative).detach().mean())
    assert_close(at_sequences(log_r[drawn.noised.nonzero()[:, 1]], negatives, drawn), negative)


def test_generalized_kl_goes_without_a_warning():
    model = Factorized(Table(REFERENCE.clone()), PATH)
    objective = SequenceDensityRatio(
        CountSampling(PATH),
        OpenMean(),
        generalized_kl,
        reference=Factorized(Table(REFERENCE), PATH),
    )
    with warnings.catch_warnings(action="error"):
        loss = objective(model, ALL, batch_noise(0, 0, len(ALL)))["loss"]
    assert loss.isfinite()


def test_refusals():
    fields, noise = (CountSampling(PATH), OpenMean(), bce), batch_noise(0, 0, len(ALL))
    with pytest.raises(InputError, match=r"objective\.negatives .*0"):
        SequenceDensityRatio(*fields, negatives=0)
    reference = Factorized(Table(REFERENCE), PATH)
    with (
        pytest.warns(UserWarning, match=OFF),
        pytest.raises(InputError, match="reference: found null"),
    ):
        SequenceDensityRatio(*fields)(reference, ALL, noise)
    joint = Joint(TableEnergy(torch.zeros(V, V, V)), Factorized(Table(REFERENCE), PATH))
    with pytest.raises(InputError, match=r"needs a posterior .*, found Joint"):
        SequenceDensityRatio(*fields, reference=reference)(joint, ALL, noise)
