"""A method has the conditionals that it names, at every temperature, and refuses other models."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.factorized import Factorized
from tcsm.models.masked_lm import HollowLM, MaskedLM
from tcsm.models.teacher import Tabulated
from tcsm.nets.hollow import Hollow
from tcsm.nets.transformer import Transformer
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.targets.adapters import Exact, JointlyMasked, OneSided, Plain, Taylor, TopK
from tests.enumeration import random_distribution

V, L = 4, 3
X = torch.tensor([[0, 2, 1], [3, 3, 0]])
SITES = torch.tensor([[True, False, True], [False, True, True]])
PATH = Path(Mask(V), Linear())
METHODS = [OneSided(), Taylor(), Exact(), TopK(k=2), TopK(k=2, tail=OneSided(temperature=3.0))]


def awake(net):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return net.double().eval().requires_grad_(False)


def transformer(**fields):
    fields = {"vocabulary": V, "extra": 1, "dim": 8, "depth": 1, "heads": 1} | fields
    return awake(Transformer(**fields))


MODEL = Autoregressive(transformer(causal=True))
BLIND = HollowLM(awake(Hollow(vocabulary=V, dim=8, depth=1, heads=1)))


@pytest.mark.parametrize("method", METHODS)
def test_a_temperature_divides(method):
    plain = method.attach(MODEL).log_conditionals(X, SITES)
    flat = type(method)(**{**vars(method), "temperature": 2.0}).attach(MODEL)
    assert_close(flat.log_conditionals(X, SITES), (plain / 2).log_softmax(-1))


def test_a_model_with_conditionals_gives_its_own():
    actual = Plain().attach(BLIND).log_conditionals(X, SITES)
    assert actual.equal(BLIND.log_conditionals(X, SITES))


@torch.no_grad()
def test_jointly_masked_positions_have_the_conditionals_of_a_masked_posterior():
    """Its targets are p(y | x_t): those of a masked posterior at the same positions."""
    net = transformer()
    x_t = X.masked_fill(SITES, V)
    posterior = Factorized(net, PATH)
    expected = posterior.log_conditionals(x_t, torch.zeros(2).double(), SITES)
    for model in (MaskedLM(net), posterior):
        assert_close(JointlyMasked().attach(model).log_conditionals(X, SITES), expected)
    with pytest.raises(InputError, match="needs a bidirectional net with a mask"):
        JointlyMasked().attach(Factorized(transformer(timed=True), PATH))
    for model in (MODEL, torch.nn.Identity()):
        with pytest.raises(InputError, match="teacher=together needs a run of model=factorized"):
            JointlyMasked().attach(model)


@pytest.mark.parametrize("tails", [1, 2])
def test_one_pass_serves_as_ranking_and_as_tail(tails, monkeypatch):
    calls = []
    of_embedded = Autoregressive.log_next_of
    teacher = TopK(k=2, ranking=Taylor(), tail=Taylor(temperature=float(tails))).attach(MODEL)
    monkeypatch.setattr(
        Autoregressive, "log_next_of", lambda *given: calls.append(1) or of_embedded(*given)
    )
    teacher.log_conditionals(X, SITES)
    assert len(calls) == tails


def test_a_flattened_distribution_is_that_of_the_root_of_the_table():
    """The exact conditionals of p₁^{1/T}: divided, whatever the other positions are."""
    table = torch.from_numpy(random_distribution(V, L, 0)).log()
    actual = Plain(temperature=2.0).attach(Tabulated(table)).log_conditionals(X, SITES)
    assert_close(actual, Tabulated(table / 2).log_conditionals(X, SITES))


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_a_direction_is_refused(method):
    with pytest.raises(InputError, match="needs a run of model=autoregressive, found HollowLM"):
        method.attach(BLIND)


def test_a_model_without_conditionals_is_refused():
    with pytest.raises(InputError, match="teacher=plain needs a run of model=blind or masked_lm"):
        Plain().attach(MODEL)


def test_a_teacher_without_a_model_is_refused():
    with pytest.raises(InputError, match="teacher_run: found null"):
        Exact().log_conditionals(X, SITES)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf")])
def test_what_divides_nothing_is_refused(temperature):
    with pytest.raises(InputError, match=r"teacher\.temperature "):
        Plain(temperature=temperature)
