"""Temperature and top-p against enumeration."""

import pytest
import torch

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.next_token import NextToken
from tcsm.samplers.truncated import Truncated, truncate
from tests.samplers.distributions import chi_square
from tests.tables import Table

PATH = Path(Mask(4), Linear())
Q = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.05, [1]), (0.39, [1]), (0.41, [1, 3]), (0.75, [1, 2, 3]), (1.0, [0, 1, 2, 3])],
)
def test_the_nucleus_is_the_smallest_set_that_reaches_p(top_p, kept):
    expected = torch.zeros(4, dtype=torch.float64)
    expected[list(kept)] = Q[0, list(kept)]
    result = truncate(Q.log() + 7, 1.0, top_p).exp()[0]
    assert torch.allclose(result, expected / expected.sum(), atol=1e-12)


def test_temperature_is_a_power():
    assert torch.allclose(truncate(Q.log(), 0.5, 1.0).exp(), Q**2 / (Q**2).sum(), atol=1e-12)


def test_samples_are_of_the_truncated_model():
    model = Factorized(Table(Q.log().expand(2, 4)), PATH)
    sampler = Truncated(steps=3, inner=Ancestral(steps=1, path=PATH), temperature=2.0, top_p=0.9)
    drawn = sampler(model, 50_000, 2, 0)
    each = truncate(Q.log(), 2.0, 0.9).exp()[0]
    support = each > 0
    assert not bool((~support)[drawn.tokens].any())
    compact = support.cumsum(0)[drawn.tokens] - 1
    pair = (each[support][:, None] * each[support]).numpy().ravel()
    statistic, bound = chi_square(compact, pair)
    assert statistic < bound
    assert drawn.network_calls == 2


def test_bad_values_are_named():
    inner = Ancestral(steps=1, path=PATH)
    with pytest.raises(InputError, match=r"sampler\.temperature .* found 0\.0"):
        Truncated(steps=1, inner=inner, temperature=0.0)
    with pytest.raises(InputError, match=r"sampler\.top_p must be in \(0, 1\], found 1.5"):
        Truncated(steps=1, inner=inner, top_p=1.5)
    with pytest.raises(InputError, match=r"sampler\.inner: NextToken"):
        Truncated(steps=1, inner=NextToken(steps=1))
