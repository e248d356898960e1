import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.models.masked_lm import HollowLM, MaskedLM
from tcsm.models.teacher import Tabulated
from tcsm.nets.hollow import Hollow
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.objectives.likelihood import PseudoLikelihood
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import random_distribution, sequences

V = L = 3
NOISE = batch_noise(0, 0, 6)


def hollow():
    return Hollow(vocabulary=V, dim=16, depth=1, heads=1)


def test_at_every_position_it_is_the_pseudo_likelihood():
    model, x = HollowLM(hollow()), torch.randint(V, (6, L))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    terms = PseudoLikelihood()(model, x, NOISE)
    everywhere = torch.ones_like(x, dtype=torch.bool)
    log_p = model.log_conditionals(x, everywhere).gather(-1, x.flatten()[:, None])
    assert_close(terms["loss"].float(), -log_p.mean())
    assert_close(terms["cross_entropy"], terms["loss"].detach().float())
    weight = torch.rand(6)
    weighted = PseudoLikelihood()(model, x, NOISE, weight)["loss"]
    assert_close(weighted.float(), -(weight * log_p.view(6, L).sum(-1)).sum() / (6 * L))


def test_its_expectation_does_not_depend_on_the_rate():
    """Positions are drawn with chance ρ and weighted by 1/ρ; a hollow network sees the same."""
    model, x = HollowLM(hollow()), torch.randint(V, (400, L))
    with torch.no_grad():
        model.net.head.weight.normal_()
    noise = batch_noise(1, 0, 400)
    whole, part = (PseudoLikelihood(rate)(model, x, noise)["loss"] for rate in (1.0, 0.4))
    assert part.item() == pytest.approx(whole.item(), rel=0.1)
    assert part != whole


def test_masked_positions_are_the_drawn_ones():
    """At first the distribution is uniform: log V at each drawn position."""
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1)
    terms = PseudoLikelihood(0.5)(MaskedLM(net), torch.randint(V, (6, L)), NOISE)
    drawn = (NOISE.uniform("sites", L) < 0.5).sum().item()
    expected = torch.tensor(float(V)).log() * drawn / (0.5 * 6 * L)
    assert_close(terms["loss"].float(), expected)
    nothing = PseudoLikelihood(1e-12)(MaskedLM(net), torch.randint(V, (6, L)), NOISE)
    assert nothing["loss"] == nothing["cross_entropy"] == 0


def test_a_hollow_network_learns_the_conditionals():
    """Trained on a distribution with all weights known, it comes close to the table."""
    distribution = torch.from_numpy(random_distribution(V, L, 2))
    model, x = HollowLM(hollow()), torch.from_numpy(sequences(V, L))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    noise, weight = batch_noise(0, 0, len(x)), distribution.flatten() * len(x)
    for _ in range(150):
        optimizer.zero_grad()
        PseudoLikelihood()(model, x, noise, weight)["loss"].backward()
        optimizer.step()
    everywhere = torch.ones_like(x, dtype=torch.bool)
    exact = Tabulated(distribution.log()).log_conditionals(x, everywhere).exp()
    with torch.no_grad():
        actual = model.log_conditionals(x, everywhere).exp()
    gap = (actual - exact).abs().sum(-1).view(-1, L).mean(-1) / 2
    assert (distribution.flatten() * gap).sum() < 0.02


def test_a_wrong_rate_and_a_wrong_model_are_refused():
    with pytest.raises(InputError, match=r"objective\.rate must lie in \(0, 1\], found 0"):
        PseudoLikelihood(0.0)
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1)
    model = Factorized(net, Path(Mask(V), Linear()))
    with pytest.raises(InputError, match="needs model=blind or masked_lm, found Factorized"):
        PseudoLikelihood()(model, torch.zeros(6, L).long(), NOISE)
