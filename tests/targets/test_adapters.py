"""Every way of asking is the teacher that it names, and refuses models of other kinds."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.masked_lm import HollowLM, MaskedLM
from tcsm.nets.hollow import Hollow
from tcsm.nets.transformer import Transformer
from tcsm.targets import adapters, causal
from tcsm.targets.adapters import Denoiser
from tcsm.targets.base import Tabulated, Tempered
from tcsm.targets.left_to_right import LeftToRight
from tests.enumeration import random_distribution

V, L = 4, 3
X = torch.tensor([[0, 2, 1], [3, 3, 0]])
SITES = torch.tensor([[True, False, True], [False, True, True]])
PAST, SLOPE = adapters.OneSided(), adapters.Taylor()


def awake(net):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return net.double().eval().requires_grad_(False)


MODEL = Autoregressive(
    awake(Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1, causal=True))
)
LEFT = LeftToRight(MODEL)
EXACT, ONE_SIDED, TAYLOR = causal.Exact(LEFT), causal.OneSided(LEFT), causal.Taylor(LEFT)


@pytest.mark.parametrize(
    ("way", "teacher"),
    [
        (adapters.Exact(batch=3), EXACT),
        (PAST, ONE_SIDED),
        (SLOPE, TAYLOR),
        (adapters.TopK(k=2), causal.TopK(EXACT, 2, ONE_SIDED)),
        (adapters.TopK(k=2, tail=PAST), causal.TopK(EXACT, 2, ONE_SIDED, ONE_SIDED)),
        (adapters.TopK(k=2, tail=SLOPE), causal.TopK(EXACT, 2, ONE_SIDED, TAYLOR)),
        (adapters.TopK(k=2, ranking=SLOPE, tail=SLOPE), causal.TopK(EXACT, 2, TAYLOR, TAYLOR)),
    ],
)
def test_a_way_is_its_teacher(way, teacher):
    expected = teacher.log_conditionals(X, SITES)
    assert_close(way(MODEL).log_conditionals(X, SITES), expected)
    flat = type(way)(**{**vars(way), "temperature": 2.0})(MODEL)
    assert_close(flat.log_conditionals(X, SITES), (expected / 2).log_softmax(-1))


def test_a_plain_way_is_the_model_itself():
    blind = HollowLM(awake(Hollow(vocabulary=V, dim=8, depth=1, heads=1)))
    assert adapters.Plain()(blind) is blind


def test_a_masked_network_may_be_asked_together():
    net = awake(Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1))
    found = adapters.JointlyMasked()(MaskedLM(net)).log_conditionals(X, SITES)
    assert_close(found, Denoiser(net).log_conditionals(X, SITES))
    with pytest.raises(InputError, match="teacher=together needs a run of model=factorized or"):
        adapters.JointlyMasked()(torch.nn.Identity())


def test_one_pass_serves_as_ranking_and_as_tail():
    teacher = adapters.TopK(k=2, ranking=SLOPE, tail=adapters.Taylor())(MODEL)
    assert teacher.tail is teacher.ranking


def test_a_flattened_distribution_is_that_of_the_root_of_the_table():
    """The exact conditionals of p₁^{1/T}: divided, whatever the other positions are."""
    distribution = torch.from_numpy(random_distribution(V, L, 0)).log()
    found = Tempered(Tabulated(distribution), 2.0).log_conditionals(X, SITES)
    assert_close(found, Tabulated(distribution / 2).log_conditionals(X, SITES))


@pytest.mark.parametrize("way", [PAST, SLOPE, adapters.Exact(), adapters.TopK(k=2)])
def test_a_model_without_a_direction_is_refused(way):
    blind = HollowLM(awake(Hollow(vocabulary=V, dim=8, depth=1, heads=1)))
    with pytest.raises(InputError, match="needs a run of model=autoregressive, found HollowLM"):
        way(blind)


def test_a_model_without_conditionals_is_refused():
    with pytest.raises(InputError, match="teacher=plain needs a run of model=blind or masked_lm"):
        adapters.Plain()(MODEL)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf")])
def test_what_divides_nothing_is_refused(temperature):
    with pytest.raises(InputError, match=r"teacher\.temperature must be positive"):
        adapters.Plain(temperature=temperature)
