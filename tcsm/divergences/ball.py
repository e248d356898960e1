"""Powers over the 1-ball of a label x, and their gradients by logits (3.1, 3.2, 3.7a).

    ψ(u) = Σ over λ and 1 − λ of expm1(λu)/λ,  u at λ = 0        ℓ(x; q) = (1/V) Σ_y ψ(log q_y/q_x)

Matched smoothing is (1 − ε) ℓ(x; q̃) + (ε/V) Σ_z ℓ(z; q̃) at q̃ = (1 − ε) q + ε/V. All functions may
overwrite ``log_q`` and ``spare``, memory for one more tensor of its size.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tcsm.divergences.closed_form import ClosedForm, add, at, put, through_log_softmax

LogQ = Float[Tensor, "n V"]
Labels = Int[Tensor, "n"]


def generalized_kl(log_q: LogQ, x: Labels) -> ClosedForm:
    """Return −log q_x + e + mean log q − 1 and e q + 1/V − (1 + e) δ_x, e = 1/(V q_x)."""
    label, vocabulary = at(log_q, x), log_q.shape[-1]
    odds = torch.exp(-label - math.log(vocabulary))
    loss = torch.expm1(-label - math.log(vocabulary)) - label + log_q.mean(-1)
    dense = log_q.exp_()
    put(dense, x, torch.expm1(label) - vocabulary * label.exp())
    uniform = torch.full_like(odds, 1 / vocabulary)
    return ClosedForm(loss, dense, odds, uniform)


def powers(both: tuple[float, float], log_q: LogQ, x: Labels, spare: LogQ) -> ClosedForm:
    """Return the loss and gradient from s_y^λ/Σ s^λ of one or both powers, neither of them 0."""
    first, second = both
    parts = [_shares(first, log_q, spare)]
    if first != second:
        parts.append(_shares(second, log_q, log_q))
    labels = [at(part, x) for part in parts]  # 1/Σ_y s_y^λ
    log_size = math.log(log_q.shape[-1])
    terms = [
        torch.expm1(-label.log() - log_size) / power
        for power, label in zip(both, labels, strict=False)
    ]
    factor = torch.full_like(labels[0], 2.0 / len(parts))
    dense, label = parts[0], labels[0]
    others = 1 - label
    if len(parts) > 1:
        ratio = label / labels[1]
        dense.addcmul_(parts[1], ratio[:, None])
        others = others + ratio * (1 - labels[1])
    put(dense, x, -others)
    scale = factor / (label * math.exp(log_size))
    return ClosedForm(factor * torch.stack(terms).sum(0), dense, scale)


def _shares(power: float, log_q: LogQ, out: Tensor) -> LogQ:
    """Return q_y^λ/Σ q^λ."""
    return torch.softmax(torch.mul(log_q, power, out=out), -1, out=out)


def smoothed_generalized_kl(log_q: LogQ, x: Labels, spare: LogQ, epsilon: float) -> ClosedForm:
    """Return the smoothed loss of λ = 0 and 1.

    With w = (1 − ε) q/q̃ the derivative by log q is w (w − ε)/V, and at the label
    −(1 − ε) w (1 + 1/(V q̃)) more.
    """
    size, keep = log_q.shape[-1], math.log1p(-epsilon)
    smooth = _smooth(log_q, spare, epsilon)
    smooth_label, mean = at(smooth, x) + keep, smooth.mean(-1) + keep
    share = torch.sub(log_q, smooth, out=spare).exp_()
    odds = torch.exp(-smooth_label - math.log(size))
    rest = (1 - share.mean(-1)) / epsilon  # (1/V) Σ 1/(V q̃)
    loss = (1 - epsilon) * (-smooth_label + odds + mean - 1) + epsilon * (rest - 1)
    more = (1 - epsilon) * at(share, x) * (1 + odds)
    dense = share.addcmul_(share, share, value=-1 / epsilon)  # −w (w − ε)/ε
    add(dense, x, more * (size / epsilon))
    dense = dense.addcmul_(log_q.exp_(), -dense.sum(-1)[:, None])
    return ClosedForm(loss, dense, torch.full_like(loss, -epsilon / size))


def smoothed_powers(
    both: tuple[float, float], log_q: LogQ, x: Labels, spare: LogQ, epsilon: float
) -> ClosedForm:
    """Return the smoothed loss of two powers, neither of them 0.

    With m(λ) = mean q̃^λ a power's part of the loss is ((1 − ε) m(λ) q̃_x^−λ + ε m(λ) m(−λ) − 1)/λ.
    Its derivative by log q̃ is [(1 − ε) q̃_x^−λ + ε m(−λ)] q̃^λ/V − ε m(λ) q̃^−λ/V, less its sum at
    the label.
    """
    size, different = log_q.shape[-1], sorted(set(both))
    smooth = _smooth(log_q, spare, epsilon).add_(math.log1p(-epsilon))
    label, slope = at(smooth, x), torch.zeros_like(smooth)
    loss = at_label = torch.zeros_like(label)
    for power in different:
        up = torch.mul(smooth, power).exp_()
        down = up.reciprocal()
        own, high, low = torch.exp(-power * label), up.mean(-1), down.mean(-1)
        near = (1 - epsilon) * own * high
        loss = loss + (near + epsilon * high * low - 1) / power
        at_label = at_label + near
        slope.addcmul_(up, ((1 - epsilon) * own + epsilon * low)[:, None])
        slope.addcmul_(down, -epsilon * high[:, None])
    add(slope, x, -size * at_label)
    slope.mul_(torch.sub(log_q, smooth, out=smooth).exp_())
    weight = torch.full_like(loss, 2 / len(different))
    by_log_q = ClosedForm(weight * loss, slope, weight * ((1 - epsilon) / size))
    return through_log_softmax(by_log_q, log_q)


def _smooth(log_q: LogQ, out: LogQ, epsilon: float) -> LogQ:
    """Return log q̃ − log(1 − ε)."""
    floor = log_q.new_tensor(math.log(epsilon / log_q.shape[-1]) - math.log1p(-epsilon))
    return torch.logaddexp(log_q, floor, out=out)
