"""Pairs of a buffer: who meets whom, and who wins."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.data.batch_sources import DataContext
from tcsm.data.batches import Batch
from tcsm.data.buffer import Buffer, unweighted
from tcsm.data.pairs import PairFile, Pairs
from tcsm.errors import InputError

L, SIZE = 3, 8
TOKENS = torch.arange(40 * L).view(40, L)  # a row is known by its first token
REWARD = torch.linspace(-1, 1, 40).double()


def full(pairs):
    """Pairs of a file that need no padding."""
    lengths = torch.full((len(pairs), 2), pairs.shape[1] // 2)
    return Buffer(
        pairs, torch.zeros(len(pairs)).double(), torch.zeros(len(pairs)).double(), lengths
    )


class NoText:
    """A corpus that nobody may ask."""

    def at(self, *place: int) -> Batch:
        raise AssertionError


def context(buffer: Buffer | None, seed: int = 3, size: int = SIZE) -> DataContext:
    return DataContext(NoText(), size, L, seed, torch.nn.Identity(), None, buffer)


def rows(batches, buffer, count):
    """The first so many pairs, a step."""
    return batches.open(context(buffer, size=count)).at(0).tokens


def test_every_epoch_each_sequence_is_in_one_pair():
    pairs = Pairs(None).open(context(unweighted(TOKENS, REWARD)))
    batches = [pairs.at(step).tokens for step in range(5)]  # 20 pairs an epoch, 40 in five steps
    actual = torch.cat(batches).unflatten(1, (2, L))
    assert (actual == TOKENS[actual[..., 0] // L]).all()
    for epoch in actual[..., 0].view(2, 20, 2):
        assert sorted((epoch // L).flatten().tolist()) == list(range(40))
    first, second = (
        {tuple(sorted(pair)) for pair in e.tolist()} for e in actual[..., 0].view(2, 20, 2)
    )
    assert len(first & second) < 5


def test_an_odd_sequence_waits_for_another_epoch():
    actual = rows(Pairs(None), unweighted(TOKENS[:5], REWARD[:5]), 8)
    for epoch in actual[:, ::L].reshape(4, 4):
        assert len(set(epoch.tolist())) == 4


def test_the_winner_stands_first():
    actual = rows(Pairs(None), unweighted(TOKENS, REWARD), 80)
    assert (actual[:, 0] > actual[:, L]).all()


def test_winners_follow_the_distribution_of_bradley_and_terry():
    pairs, reward = Pairs(0.7), torch.tensor([0.0, 1.0]).double()
    actual = rows(pairs, unweighted(TOKENS[:2], reward), 8000)
    expected = torch.sigmoid(torch.tensor(1 / 0.7).double())
    won = (actual[:, 0] == TOKENS[1, 0]).double().mean()
    assert_close(won, expected, atol=0.015, rtol=0)  # three standard errors
    gap = torch.tensor([-2.0, 0.0, 2.0]).double()
    assert_close(pairs.chance(gap) + pairs.chance(-gap), torch.ones(3).double())
    assert Pairs(None).chance(gap).tolist() == [0, 0.5, 1]


def test_equal_rewards_are_decided_by_a_coin():
    actual = rows(Pairs(None), unweighted(TOKENS[:2], torch.zeros(2).double()), 4000)
    assert_close(
        (actual[:, 0] == 0).double().mean(), torch.tensor(0.5).double(), atol=0.03, rtol=0
    )


@pytest.mark.parametrize("batches", [Pairs(0.5), PairFile()], ids=["pairs", "pair_file"])
def test_parts_of_a_step_are_the_whole_and_a_function_of_it(batches):
    tokens = TOKENS if isinstance(batches, Pairs) else TOKENS.view(20, 2 * L)
    buffer = unweighted(tokens, REWARD[: len(tokens)])
    if isinstance(batches, PairFile):
        buffer = full(tokens)
    whole = batches.open(context(buffer)).at(7)
    parts = [
        batches.open(context(buffer)).at(7, rank, 2, micro, 2)
        for rank in (0, 1)
        for micro in (0, 1)
    ]
    assert (torch.cat([part.tokens for part in parts]) == whole.tokens).all()
    assert torch.cat([part.ids for part in parts]).tolist() == list(range(SIZE))
    assert (whole.total, whole.step, whole.weight.tolist()) == (SIZE, 7, [1.0] * SIZE)
    other = batches.open(context(buffer, seed=4)).at(7)
    assert (other.tokens != whole.tokens).any()


def test_a_file_of_pairs_is_read_whole_every_epoch():
    pairs = TOKENS.view(20, 2 * L)
    actual = rows(PairFile(), full(pairs), 40)
    for epoch in actual.view(2, 20, 2 * L):
        assert sorted(epoch[:, 0].tolist()) == pairs[:, 0].tolist()


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_without_a_distribution_is_refused(temperature):
    with pytest.raises(InputError, match=r"batches\.temperature "):
        Pairs(temperature)


@pytest.mark.parametrize(
    ("batches", "buffer", "words"),
    [
        (Pairs(), None, "collected: found null"),
        (PairFile(), None, "collected: found null"),
        (Pairs(), unweighted(TOKENS[:1], REWARD[:1]), "a pair needs two sequences, found 1"),
        (Pairs(), unweighted(TOKENS[:, :2], REWARD), r"rows of 2 tokens, wanted 3: sequences"),
        (PairFile(), unweighted(TOKENS.view(20, -1), REWARD[:20]), r"rows of 1 texts, wanted 2"),
        (Pairs(), full(TOKENS.view(20, -1)), r"rows of 2 texts, wanted 1; batches=pair_file"),
        (PairFile(), full(TOKENS[:, :2]), r"rows of 2 tokens, wanted 6: pairs"),
        (Pairs(), Buffer(TOKENS, REWARD, REWARD), "collected: found weights of importance"),
    ],
)
def test_material_of_another_kind_is_refused(batches, buffer, words):
    with pytest.raises(InputError, match=words):
        batches.open(context(buffer))
