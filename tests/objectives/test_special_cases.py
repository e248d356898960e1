"""Other methods in their own letters, beside what params/experiment/special composes (§8).

Their time τ = 1 − t runs from data to noise. Every formula takes raw logits and plain tensors.
"""

import re
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from tcsm import config
from tcsm.models.factorized import Factorized
from tcsm.noise import batch_noise
from tcsm.objectives.base import OpenMean
from tcsm.objectives.score_matching import ScoreMatching
from tcsm.process.paths import Path as Noising
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import bayes, between, kernel, marginals, random_distribution, sequences
from tests.tables import Table, corrupted, exact, loss_at

PARAMS = Path(__file__).parents[2] / "params"
V, L, B = 27, 7, 12
TINY = ("scale=smoke", "scale.net.dim=8", "scale.net.depth=1", "scale.net.heads=1")


def composed(*overrides):
    return config.resolve(config.compose(overrides, PARAMS))


class Run:
    """What an experiment composes, met with a batch."""

    def __init__(self, name, *overrides):
        cfg = composed(f"experiment=special/{name}", *TINY, *overrides)
        objective, self.model = config.build(cfg.objective), config.build(cfg.model).double()
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.add_(0.5 * torch.randn_like(parameter))
        self.x_1, noise = torch.randint(V, (B, L)), batch_noise(3, 1, B)
        self.drawn = objective.corruption(self.x_1, noise)
        self.loss = objective(self.model, self.x_1, noise)["loss"]
        self.x_t, self.tau = self.drawn.x_t, 1 - self.drawn.t
        everywhere = torch.ones_like(self.x_t, dtype=torch.bool)
        logits = self.model.net(self.x_t, self.drawn.t, everywhere).view(B, L, V)
        self.log_p = logits.log_softmax(-1)
        self.log_p_x = self.log_p.gather(-1, self.x_1[..., None])[..., 0]
        self.masked = self.x_t == V

    def agrees(self, per_position):
        """Mean over all tokens, values and all gradients."""
        peer = per_position.sum() / (B * L)
        assert_close(self.loss, peer, rtol=1e-9, atol=1e-12)
        parameters = list(self.model.parameters())
        ours, expected = (
            torch.autograd.grad(loss, parameters, retain_graph=True) for loss in (self.loss, peer)
        )
        for one, other in zip(ours, expected, strict=True):
            assert_close(one, other, rtol=1e-7, atol=1e-10)


def test_mdlm():
    """σ = −log(1 − τ): dσ/dτ over expm1(σ), cross-entropy at masks."""
    run = Run("mdlm")
    sigma, slope = -torch.log1p(-run.tau), 1 / (1 - run.tau)
    weight = slope / torch.expm1(sigma)
    run.agrees(weight[:, None] * -run.log_p_x * run.masked)


def test_md4():
    """α′(τ)/(1 − α) times log-probability at masks, α = 1 − cos(π(1 − τ)/2)."""
    run = Run("md4")
    tau = run.tau.clone().requires_grad_()
    alpha = 1 - torch.cos(torch.pi / 2 * (1 - tau))
    (slope,) = torch.autograd.grad(alpha.sum(), tau)
    run.agrees((slope / (1 - alpha.detach()))[:, None] * run.log_p_x * run.masked)


def test_radd():
    """λ = L/n over subsets of n masks, n uniform."""
    run = Run("radd")
    n = run.masked.sum(-1, keepdim=True)
    assert set(n.flatten().tolist()) == set(range(1, L + 1))
    run.agrees(L / n.double() * -run.log_p_x * run.masked)
    assert not run.model.net.timed


def test_sedd_absorb():
    """Score entropy dσ [Σ_y s_y − c log s_{x₁} + c (log c − 1)] at masks, c = 1/expm1(σ)."""
    run = Run("sedd_absorb")
    sigma, slope = -torch.log1p(-run.tau), 1 / (1 - run.tau)
    c = (1 / torch.expm1(sigma))[:, None]
    log_s = run.log_p + torch.log(c)[..., None]
    positive, negative = log_s.exp().sum(-1), c * (run.log_p_x + torch.log(c))
    entropy = positive - negative + c * (torch.log(c) - 1)
    run.agrees(slope[:, None] * entropy * run.masked)


def d3pm(run, steps, masked, log_p):
    """T KL(q(x_s | x_t, x₁) ‖ Σ_z p(z) q(x_s | x_t, z)) from transition matrices."""
    nats = []
    for row in range(B):
        t = run.drawn.t[row].item()
        alpha_t, alpha_s = t, t + 1 / steps
        to_s = torch.from_numpy(kernel(alpha_s, V, masked))
        onward = torch.from_numpy(between(alpha_t, alpha_s, V, masked))
        for position in range(L):
            joint = to_s * onward[:, run.x_t[row, position]]  # [x₁, x_s]
            reverse = joint / joint.sum(-1, keepdim=True).clamp(min=1e-300)
            truth = reverse[run.x_1[row, position]]
            model = log_p[row, position].exp() @ reverse
            support = truth > 0
            gap = truth[support].log() - model[support].log()
            nats.append(steps * (truth[support] * gap).sum())
    return torch.stack(nats).view(B, L)


@pytest.mark.parametrize("steps", [1, 5, 1000])
def test_d3pm_absorb(steps):
    run = Run("d3pm_absorb", f"corruption.steps={steps}")
    run.agrees(d3pm(run, steps, True, run.log_p) * run.masked)


@pytest.mark.parametrize("steps", [1, 5, 1000])
def test_d3pm_uniform(steps):
    """The mixture is over the posterior, π with the evidence of x_t."""
    run = Run("d3pm_uniform", f"corruption.steps={steps}")
    pairs = zip(run.drawn.t, run.x_t, strict=True)
    likelihood = [torch.from_numpy(kernel(t.item(), V, False))[:, x].T for t, x in pairs]
    log_q = (run.log_p + torch.stack(likelihood).log()).log_softmax(-1)
    run.agrees(d3pm(run, steps, False, log_q))


def test_udlm():
    """α′/(Nα) [N/x̄_i − N/(x̄_θ)_i − Σ_j (x̄_j/x̄_i) log((x̄_θ)_i x̄_j/((x̄_θ)_j x̄_i))]."""
    run = Run("udlm")
    alpha, slope = (1 - run.tau)[:, None], -1.0
    data = torch.nn.functional.one_hot(run.x_1, V)
    bar = V * alpha[..., None] * data + 1 - alpha[..., None]
    bar_model = V * alpha[..., None] * run.log_p.exp() + 1 - alpha[..., None]
    here = run.x_t[..., None]
    bar_i, model_i = bar.gather(-1, here), bar_model.gather(-1, here)
    logs = torch.log(model_i * bar / (bar_model * bar_i))
    inside = V / bar_i[..., 0] - V / model_i[..., 0] - (bar / bar_i * logs).sum(-1)
    run.agrees(slope / (V * alpha) * inside)


def test_discrete_flow_matching_by_cross_entropy():
    """−log p_{1|t}(x₁^i | x_t) at every token."""
    run = Run("dfm_ce")
    run.agrees(-run.log_p_x)


def test_discrete_flow_matching_by_generalized_kl():
    """Σ_{y≠x_t} R log(R/R_θ) − R + R_θ of the rates κ p_{1|t}(y); here p has the evidence."""
    run = Run("dfm_gkl")
    alpha = 1 - run.tau
    evidence = torch.log1p(V * alpha / (1 - alpha))[:, None, None]
    here = torch.nn.functional.one_hot(run.x_t, V)
    q = (run.log_p + evidence * here).softmax(-1)
    kappa = (1 / run.tau)[:, None, None]
    truth, model = kappa * torch.nn.functional.one_hot(run.x_1, V), kappa * q
    gap = torch.xlogy(truth, truth) - truth * torch.log(model) - truth + model
    run.agrees((gap * (1 - here)).sum(-1))


def test_sedd_uniform():
    """Score entropy dσ [mean_y s_y − … + K] as its code sums it, s mixed from our posterior (8.2).

    e = expm1(σ), ρ = e/(e + V): r_y = ρ if x_t = x₁, else 1 but for r = 1/ρ at y = x₁.
    """
    run = Run("sedd_uniform")
    e = torch.expm1(-torch.log1p(-run.tau))[:, None]
    rho, slope = e / (e + V), (1 / (1 - run.tau))[:, None]
    likelihood = torch.stack([torch.from_numpy(kernel(t.item(), V, False)) for t in run.drawn.t])
    peer = likelihood.transpose(1, 2)  # [row, x_t, x₁]
    mixed = run.log_p[:, :, None] + peer.log()[:, None]  # [row, position, y, x₁]
    here = run.x_t[..., None, None].expand(-1, -1, 1, V)
    at_x = peer[:, None].expand(-1, L, -1, -1).gather(2, here).log()
    score = torch.logsumexp(mixed - at_x, -1)  # log s_y

    def mean_of_others(values):
        return values.mean(-1) - values.gather(-1, run.x_t[..., None])[..., 0] / V

    same = run.x_t == run.x_1
    at_label = score.gather(-1, run.x_1[..., None])[..., 0]
    flat = mean_of_others(score)
    negative = torch.where(same, rho * flat, at_label / e + flat)
    constant = torch.where(
        same,
        (V - 1) / V * rho * (rho.log() - 1),
        ((-rho.log() - 1) / rho - (V - 2)) / V,
    )
    run.agrees(slope * (mean_of_others(score.exp()) - negative + constant))


def test_sedd_uniform_is_least_at_our_ratios():
    """Σ_{y≠x} s_y − r_y log s_y over all x₁ with free s: gradient 0 at (8.2) of our posterior."""
    states, length, t = 3, 2, 0.4
    distribution = random_distribution(states, length, 0)
    path, matrix = Noising(Uniform(states), Linear()), kernel(t, states, False)
    model = Factorized(exact(path, distribution), path)
    for x_t in torch.from_numpy(sequences(states, length)):
        time = torch.tensor([t], dtype=torch.float64)
        log_q = model.log_marginals(x_t[None], time, torch.ones(1, length, dtype=torch.bool))[0]
        there = path.log_likelihood(torch.arange(states), time.expand(states))
        here = path.log_likelihood(x_t, time.expand(length))
        log_s = torch.logsumexp(log_q[:, None] + there - here[:, None], -1).requires_grad_()
        joint, _ = bayes(distribution, x_t.numpy(), matrix)
        loss = 0.0
        for position, posterior in enumerate(torch.from_numpy(marginals(joint))):
            ratio = torch.from_numpy(matrix / matrix[:, [x_t[position]]])  # r_y given x₁
            entropy = log_s[position].exp() - ratio * log_s[position]
            away = torch.arange(states) != x_t[position]
            loss = loss + (posterior @ entropy)[away].sum()
        (gradient,) = torch.autograd.grad(loss, log_s)
        assert_close(gradient, torch.zeros_like(gradient), atol=1e-9, rtol=0)


def test_concrete_score_matching():
    """½ E_p Σ_{y∈N(x)} (s_y − r_y)²: the same up to a constant, over all x₁."""
    cfg = composed("experiment=special/concrete_score_matching")
    divergence, smoothing = config.build(cfg.objective.divergence), cfg.objective.smoothing
    states, length = 3, 2
    path, distribution = (
        Noising(Mask(states), Linear()),
        torch.from_numpy(random_distribution(states, length, 1)),
    )
    x_1 = torch.from_numpy(sequences(states, length))
    drawn = corrupted(path, x_1, torch.full_like(x_1, states), torch.zeros(len(x_1)))
    neighborhood = type(config.build(cfg.objective.neighborhood))(states)

    def gap(logits):
        weight = distribution.flatten() * len(x_1)
        fields = {"divergence": divergence, "neighborhood": neighborhood, "smoothing": smoothing}
        fields |= {"weighting": OpenMean(), "row_weight": weight}
        ours = loss_at(ScoreMatching, Factorized(Table(logits), path), drawn, **fields)
        q = logits.softmax(-1)
        peer = 0.0
        for x in x_1.tolist():
            for position in range(length):
                for token in range(states):
                    y = [*x[:position], token, *x[position + 1 :]]
                    ratio = distribution[tuple(y)] / distribution[tuple(x)]
                    score = q[position, token] / q[position, x[position]]
                    peer += distribution[tuple(x)] * (score - ratio) ** 2 / 2
        return ours - peer / (length * states)

    first, second = (torch.randn(length, states).double() for _ in range(2))
    assert_close(gap(first), gap(second), rtol=1e-9, atol=0)


def test_edlm_by_noise_contrast():
    """−log σ(−E(x₁)) − log σ(E(x⁻)), x⁻ of the reference at the same x_t, mean over sequences."""
    cfg = composed("experiment=special/edlm_nce", *TINY, "model.net.body.dim=8")
    objective, model = config.build(cfg.objective), config.build(cfg.model).double()
    with torch.no_grad():
        model.net.body.head.weight.normal_()
    x_1, noise = torch.randint(V, (B, L)), batch_noise(3, 1, B)
    drawn = objective.corruption(x_1, noise)
    actual = objective(model, x_1, noise)["loss"]
    energies = []
    for guess in (x_1, model.candidates(drawn.x_t, drawn.t, drawn.noised, 1, noise)[:, 0]):
        assert torch.equal(guess[~drawn.noised], drawn.x_t[~drawn.noised])
        energies.append(model.net(guess[:, None], drawn.x_t, drawn.t)[:, 0])
    positive, negative = energies
    peer = -torch.log(torch.sigmoid(-positive)) - torch.log(torch.sigmoid(negative))
    some = drawn.noised.any(-1)
    assert_close(actual, (peer * some).sum() / B, rtol=1e-9, atol=1e-12)
    assert (positive - negative).abs().max() > 1e-3


def test_every_special_case_has_its_test_and_its_row_in_the_map():
    text = Path(__file__).read_text("utf-8")
    page = (PARAMS.parent / "docs/map.md").read_text("utf-8")
    table = page.partition("## Special cases")[2]
    for path in (PARAMS / "experiment/special").glob("*.yaml"):
        assert f'Run("{path.stem}"' in text or f'"experiment=special/{path.stem}"' in text
        (row,) = (line for line in table.splitlines() if f"| `{path.stem}` |" in line)
        for test in re.findall(r"`(test_\w+)`", row):
            assert f"def {test}(" in text
