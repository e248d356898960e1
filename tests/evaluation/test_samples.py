"""Statistics of samples, counted by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tcsm.evaluation.samples import distinct, entropy, repetition


def test_entropy_by_hand():
    """Frequencies 1/2, 1/4, 1/4; a token that never comes adds nothing."""
    tokens = torch.tensor([[0, 0, 1, 3], [0, 0, 1, 3]])
    assert entropy(tokens) == pytest.approx(1.5)


def test_entropy_of_one_token_and_of_all():
    assert entropy(torch.zeros(3, 5, dtype=torch.int64)) == 0
    assert entropy(torch.arange(16).view(2, 8)) == pytest.approx(4)


def test_distinct_counts_over_the_whole_set():
    """Pairs ab bc, ab ba: three kinds of four."""
    tokens = torch.tensor([[0, 1, 2], [0, 1, 0]])
    assert distinct(tokens, 1) == 3 / 6
    assert distinct(tokens, 2) == 3 / 4
    assert distinct(tokens, 3) == 1


def test_repetition_counts_within_a_sample():
    """Abab has pairs ab ba ab: one of three stood before; abcd none. Samples share nothing."""
    tokens = torch.tensor([[0, 1, 0, 1], [0, 1, 2, 3]])
    assert repetition(tokens, 2) == pytest.approx((1 / 3 + 0) / 2)
    assert repetition(tokens, 1) == pytest.approx((1 / 2 + 0) / 2)
    assert repetition(tokens[:1].repeat(5, 1), 4) == 0


def test_a_constant_text_repeats_itself():
    tokens = torch.full((2, 10), 4)
    assert repetition(tokens, 4) == 1 - 1 / 7
    assert distinct(tokens, 4) == 1 / 14


def test_samples_shorter_than_the_gram():
    tokens = torch.tensor([[0, 1]])
    assert distinct(tokens, 3) == 0
    assert repetition(tokens, 3) == 0


rows = st.integers(1, 12).flatmap(
    lambda length: st.lists(
        st.lists(st.integers(0, 4), min_size=length, max_size=length), min_size=1, max_size=6
    )
)


@given(rows, st.integers(1, 4))
def test_statistics_against_sets_of_tuples(rows, n):
    tokens = torch.tensor(rows)
    grams = [[tuple(row[i : i + n]) for i in range(len(row) - n + 1)] for row in rows]
    total = sum(map(len, grams))
    assert distinct(tokens, n) == (len(set().union(*grams)) / total if total else 0)
    shares = [1 - len(set(row)) / len(row) if row else 0 for row in grams]
    assert repetition(tokens, n) == pytest.approx(sum(shares) / len(shares))
    counts = {token: sum(row.count(token) for row in rows) for token in range(5)}
    shares = torch.tensor([c for c in counts.values() if c]).double() / tokens.numel()
    assert entropy(tokens) == pytest.approx(float(-(shares * shares.log2()).sum()), abs=1e-12)
