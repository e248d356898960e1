"""Going on from a prefix is reading the whole again."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.nets.suffix import PrefixCache
from tcsm.nets.transformer import Transformer

V, L = 5, 9
X = torch.randint(V, (4, L), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("first", [0, 1, 4, 8])
@pytest.mark.parametrize("stem", [0, 3, 7])
@torch.no_grad()
def test_tails_are_read_as_if_the_whole_were_read_again(stem, first):
    torch.manual_seed(1)
    sizes = {"dim": 8, "depth": 3, "heads": 2, "causal": True, "stem": stem}
    net = Transformer(vocabulary=V, extra=1, **sizes).double()
    for parameter in net.parameters():
        parameter.add_(0.5 * torch.randn_like(parameter))
    rows, tails = torch.tensor([2, 0, 2]), torch.randint(V + 1, (3, 4, L - first))
    actual = net.head(PrefixCache(net, X).features_after(rows, tails))
    whole = torch.cat([X[rows, None, :first].expand(-1, 4, -1), tails], -1).flatten(0, 1)
    everywhere = torch.ones_like(whole, dtype=torch.bool)
    expected = net(whole, None, everywhere).view(3, 4, L, V)[:, :, first:]
    assert_close(actual, expected)
