import pytest
import torch

from tcsm.errors import InputError
from tcsm.runs.toy import Fresh
from tcsm.toy.pairs import Pairs


def test_fresh_batches_are_one_batch_however_they_are_split():
    batches = Fresh(Pairs(2, 4), 8, seed=3)
    whole = batches.at(5).tokens
    parts = [batches.at(5, rank, 2, micro, 2).tokens for rank in (0, 1) for micro in (0, 1)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(batches.at(6).tokens, whole)
    with pytest.raises(InputError, match=r"data\.batch .*8"):
        batches.at(0, 0, 3)
