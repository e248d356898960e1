"""Weights of MDLM, DUO and SEDD give the logits of their own code; wrong ones are named."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from benchmarks.peers.logits import waves
from tcsm.errors import InputError
from tcsm.nets.adapter import Adapted, noise_level
from tcsm.nets.dit import PretrainedDIT
from tcsm.process.schedules import Linear

PEERS = {
    name: json.loads((Path(__file__).parent / f"{name}_logits.json").read_text("utf-8"))
    for name in ("mdlm", "duo", "sedd")
}
V = 5  # and the mask


def weights_of(peer, prefix="backbone."):
    facts = PEERS[peer]
    weights = waves({name: torch.Size(shape) for name, shape in facts["shapes"].items()})
    weights["rotary_emb.inv_freq"] = torch.tensor(facts["inv_freq"])
    return {prefix + name: weight for name, weight in weights.items()}


@pytest.fixture
def folder(tmp_path):
    def write(peer="mdlm", **changes):
        weights = {**weights_of(peer), **changes}
        save_file({k: w for k, w in weights.items() if w is not None}, tmp_path / "a.safetensors")
        return str(tmp_path)

    return write


@torch.no_grad()
@pytest.mark.parametrize("peer", ["mdlm", "duo"])
def test_logits_are_those_of_their_code(folder, peer):
    x, sigma = torch.tensor(PEERS[peer]["ids"]), torch.tensor(PEERS[peer]["sigma"])
    net = PretrainedDIT(name=folder(peer), vocabulary=V, schedule=Linear()).eval()
    expected = torch.tensor(PEERS[peer]["logits"])[..., :V].flatten(0, 1)
    everywhere = torch.ones_like(x, dtype=torch.bool)
    assert_close(net(x, (-sigma).exp(), everywhere), expected, atol=3e-5, rtol=0)
    untimed = PretrainedDIT(name=folder(peer), vocabulary=V).eval()
    assert_close(untimed(x, None, everywhere)[:5], expected[:5], atol=3e-5, rtol=0)
    some = torch.rand(x.shape) < 0.5
    assert_close(net(x, (-sigma).exp(), some), expected[some.flatten()], atol=3e-5, rtol=0)


@torch.no_grad()
def test_the_posterior_is_that_of_sedds_scores(folder):
    """Scores of a masked position are q(y | x_t)/(e^σ − 1), up to a factor that SEDD learns."""
    x, sigma = torch.tensor(PEERS["sedd"]["ids"]), torch.tensor(PEERS["sedd"]["sigma"])
    net = PretrainedDIT(name=folder("sedd"), vocabulary=V, schedule=Linear()).eval()
    scores = torch.tensor(PEERS["sedd"]["logits"])[x == V][:, :V]
    posterior = net(x, (-sigma).exp(), x == V).log_softmax(-1)
    assert_close(posterior, scores.log_softmax(-1), atol=3e-5, rtol=0)
    factor = (scores + sigma[:, None].expand_as(x)[x == V].expm1().log()[:, None]).exp() * V
    logits = net(x, (-sigma).exp(), x == V)
    assert_close(factor, logits.exp(), atol=0, rtol=3e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone.blocks.1.norm1.weight": None}, ["lacks blocks.1.norm1.weight"]),
        ({"backbone.blocks.1.extra": torch.ones(2)}, ["unexpected blocks.1.extra"]),
        ({"backbone.blocks.1.norm1.weight": torch.ones(9)}, ["shapes of blocks.1.norm1.weight"]),
        ({"backbone.blocks.1.norm1.weight": torch.ones(8) / 0}, ["no numbers"]),
        ({"backbone.vocab_embed.embedding": None}, ["no DiT"]),
        ({"backbone.vocab_embed.embedding": torch.ones(9, 8)}, ["net.vocabulary must be 9 or 8"]),
        ({"backbone.rotary_emb.inv_freq": None}, ["net.heads: found null"]),
        ({"backbone.blocks.x.norm1.weight": torch.ones(8)}, ["unexpected blocks.x.norm1.weight"]),
    ],
)
def test_other_weights_are_refused_in_one_line(folder, changes, words):
    refused(folder(**changes), *words)


def test_a_damaged_file_is_named(folder):
    file = Path(folder()) / "a.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    refused(str(file.parent), str(file))
    refused(str(file.parent / "none.safetensors"), "none.safetensors")


def refused(name, *words):
    with pytest.raises(InputError) as raised:
        PretrainedDIT(name=name, vocabulary=V)
    message = str(raised.value)
    assert all(word in message for word in (*words, "net."))
    assert name in message
    assert "\n" not in message


def test_heads_of_the_configuration_must_be_those_of_the_weights(folder):
    with pytest.raises(InputError, match=r"net\.heads must be 2"):
        PretrainedDIT(name=folder(), vocabulary=V, heads=4)


class Plain(torch.nn.Module):
    """A module of another package: logits of all states, the mask among them."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(V + 1, V + 1))

    def forward(self, ids, sigma):
        return self.table[ids] * (1 + sigma[:, None, None])


def test_a_plain_module_becomes_a_network():
    module = Plain()
    net = Adapted(module, V, time=noise_level(Linear().alpha))
    x, t = torch.tensor([[0, 5, 2], [4, 1, 5]]), torch.tensor([1.0, 0.5])
    assert net.timed
    assert_close(net(x, t, x == V)[0], module.table[V, :V])
    assert_close(net(x, t, x == V)[1], module.table[V, :V] * (1 + torch.tensor(2.0).log()))
    with pytest.raises(InputError, match=r"net\.time"):
        net(x, None, x == V)


@pytest.mark.parametrize("logits", [torch.ones(1, 3, V - 1), torch.ones(3, V), None])
def test_wrong_logits_are_named(logits):
    class Wrong(torch.nn.Module):
        def forward(self, ids):
            return logits

    x = torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(InputError, match=r"net\.module: Wrong must give .*\(1, 3, 5 or more\)"):
        Adapted(Wrong(), V)(x, None, x == 0)
