import pytest
import torch

from tcsm.errors import InputError
from tcsm.noise import Noise, batch_noise
from tcsm.toy.base import World, all_sequences
from tests.enumeration import sequences


class Given(World):
    """Weights 1, 2, 3, …"""

    def log_weights(self):
        return torch.arange(1, self.vocabulary**self.length + 1).double().log()


def test_all_sequences_come_in_lexicographic_order():
    assert all_sequences(3, 2).tolist() == sequences(3, 2).tolist()
    assert all_sequences(2, 1).tolist() == [[0], [1]]


def test_the_distribution_is_normalized():
    distribution = Given(3, 2).log_p
    assert distribution.dtype == torch.float64
    assert distribution.exp().tolist() == pytest.approx([n / 45 for n in range(1, 10)])


def test_samples_follow_the_distribution():
    world = Given(2, 3)
    actual = world.sample(batch_noise(0, 0, 40_000))
    shares = torch.bincount((actual * torch.tensor([4, 2, 1])).sum(-1), minlength=8) / 40_000
    assert shares.tolist() == pytest.approx(world.log_p.exp().tolist(), abs=0.01)


def test_samples_are_a_function_of_their_place():
    world = Given(3, 3)
    whole = world.sample(batch_noise(5, 7, 8))
    part = world.sample(Noise(5, 7, torch.arange(4, 8), 8))
    assert torch.equal(whole[4:], part)
    assert not torch.equal(whole, world.sample(batch_noise(5, 8, 8)))
    assert not torch.equal(whole, world.sample(batch_noise(6, 7, 8)))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((1, 2), "world.vocabulary must be at least 2, found 1"),
        ((2, 0), "world.length must be at least 1, found 0"),
        ((4, 9), r"V\^L = 262144 sequences are too many to list"),
    ],
)
def test_what_cannot_be_listed_is_refused(sizes, message):
    with pytest.raises(InputError, match=message):
        Given(*sizes)
