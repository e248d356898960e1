"""Cached targets are mapped into memory: rows are read where and when a loss needs them."""

from pathlib import Path as File

import pytest
import torch
from torch.testing import assert_close

from tcsm.models.teacher import Teacher
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.runs.teachers import CachedTeacher
from tcsm.targets.bayes import Bayes
from tests.operations import Counted
from tests.tables import corrupted

V, L = 40, 50
X = torch.arange(4 * L).view(4, L) % V
EVERYWHERE = torch.ones_like(X, dtype=torch.bool)


class Fixed(Teacher):
    """Any distributions."""

    def log_conditionals(self, x_1, positions):
        noise = torch.Generator().manual_seed(0)
        return torch.randn(int(positions.sum()), V, generator=noise).log_softmax(-1)


@pytest.fixture
def cached(tmp_path):
    """The same teacher in this process and in another one that finds its file."""
    first = CachedTeacher(Fixed(), "fixed", tmp_path)
    made = first.log_conditionals(X, EVERYWHERE)
    again = CachedTeacher(None, "fixed", tmp_path)
    return made, again


def mapped(tensor, folder):
    """Whether a tensor's first and last number lie in a mapping of a file of the folder."""
    ends = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes - 1
    for line in File("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if str(folder) in line and all(first <= end < last for end in ends):
            return True
    return False


@pytest.mark.skipif(not File("/proc/self/maps").exists(), reason="lists mappings on Linux alone")
def test_a_cached_answer_is_a_mapped_file(cached, tmp_path):
    made, again = cached
    actual = again.log_conditionals(X, EVERYWHERE)
    assert actual.equal(made)
    assert actual.dtype == torch.float16
    assert mapped(actual, tmp_path)
    assert not mapped(made, tmp_path)


@pytest.mark.parametrize("source", [Mask(V), Uniform(V)], ids=["mask", "uniform"])
def test_targets_of_a_chunk_read_its_rows_alone(cached, source):
    x_t = torch.full_like(X, V) if isinstance(source, Mask) else X.flip(0)
    drawn = corrupted(Path(source, Linear()), X, x_t, torch.full((4,), 0.5))
    target = Bayes(cached[1], Path(source, Linear()))
    expected, log_p = target(drawn), target.conditionals(drawn)
    positions = drawn.positions()
    for chunk in (slice(0, 16), slice(60, 64), slice(190, 200)):
        some = positions[chunk]
        with Counted() as seen:
            actual = target.at(log_p, some)
        assert_close(actual, expected[chunk], rtol=0, atol=0)
        assert seen.largest == actual.numel()


def test_the_likeliest_tokens_are_cached_alone(tmp_path):
    first, again = (CachedTeacher(own, "fixed", tmp_path) for own in (Fixed(), None))
    made, actual = (teacher.top(X, EVERYWHERE, 3, V) for teacher in (first, again))
    assert torch.equal(actual.log_p, made.log_p)
    assert torch.equal(actual.ids, made.ids)
    (file,) = tmp_path.rglob("*.safetensors")
    assert file.stat().st_size < 40 * X.numel() < 2 * V * X.numel()
    if File("/proc/self/maps").exists():
        assert mapped(actual.log_p, tmp_path)
    rows = actual.rows(range(60, 64), torch.float32).dense().exp()
    exact = Fixed().log_conditionals(X, EVERYWHERE)[60:64].exp()
    assert_close(rows.sum(-1), torch.ones(4))
    assert_close(rows.topk(3).values, exact.topk(3).values, rtol=2e-3, atol=0)
