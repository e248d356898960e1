import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tcsm.data.embeddings import Contexts
from tcsm.data.tokenfile import Header, Piece, write_tokens
from tcsm.errors import InputError


def folder(tmp_path, ids, vocabulary=4):
    header = Header("made up", "0", vocabulary, "<u2", "none", "train")
    write_tokens(tmp_path / "train.tok", [Piece(np.array(ids, "<u2"), len(ids))], header)
    return str(tmp_path)


def test_tokens_of_equal_contexts_are_near(tmp_path):
    """1 and 2 stand between 0 and 3, in turn."""
    vectors = Contexts(folder(tmp_path, [0, 1, 3, 0, 2, 3] * 200))()
    assert vectors.shape == (4, 8)
    distance = torch.cdist(vectors, vectors)
    assert distance[1, 2] < 0.1 < distance[0, 3]
    assert_close((vectors**2).sum(-1), torch.full((4,), 2.0).double())


def test_only_the_first_tokens_count(tmp_path):
    root = folder(tmp_path, [0, 1] * 50 + [2, 3] * 50)
    assert_close(Contexts(root, 100)()[2], Contexts(root, 100)()[3])
    assert not torch.equal(Contexts(root)()[2], Contexts(root)()[3])


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="run prepare"):
        Contexts(str(tmp_path))()
    with pytest.raises(InputError, match="5000 tokens are too many, 4096 at most"):
        Contexts(folder(tmp_path, [0, 1], 5000))()
