"""Folders of LLaDA and Dream give the logits of their own code; others are refused in one line."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from benchmarks.peers.logits import waves
from tcsm.errors import InputError
from tcsm.nets.backbone import Backbone

PEERS = {
    name: json.loads((Path(__file__).parent / f"{name}_logits.json").read_text("utf-8"))
    for name in ("llada", "dream")
}
V, MASK, BLOCK = 10, 11, "model.transformer.blocks.0"


@pytest.fixture
def folder(tmp_path):
    def write(peer, config=None, **changes):
        facts = PEERS[peer]
        made = waves({name: torch.Size(shape) for name, shape in facts["shapes"].items()})
        weights = {key: part for key, part in {**made, **changes}.items() if part is not None}
        save_file(weights, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text(json.dumps({**facts["config"], **(config or {})}))
        return str(tmp_path)

    return write


@torch.no_grad()
def test_logits_are_those_of_lladas_code(folder):
    ids = torch.tensor(PEERS["llada"]["ids"])
    net = Backbone(name=folder("llada"), vocabulary=V, causal=True).eval()
    x = ids.masked_fill(ids == MASK, V)
    expected = torch.tensor(PEERS["llada"]["logits"])[..., :V].flatten(0, 1)
    assert_close(net(x, None, torch.ones_like(x, dtype=torch.bool)), expected, atol=3e-5, rtol=0)


@torch.no_grad()
def test_logits_of_dream_are_read_one_position_earlier(folder):
    """Its first id is the start here: what its code gives at a position is for the next one."""
    ids = torch.tensor(PEERS["dream"]["ids"])[:1]
    net = Backbone(
        name=folder("dream"), vocabulary=V, causal=True, shift=True, start=int(ids[0, 0])
    ).eval()
    x = ids.masked_fill(ids == MASK, V)[:, 1:]
    expected = torch.tensor(PEERS["dream"]["logits"])[0, :-1, :V]
    assert_close(net(x, None, torch.ones_like(x, dtype=torch.bool)), expected, atol=3e-5, rtol=0)


@pytest.mark.parametrize(
    ("peer", "config", "changes", "words"),
    [
        ("llada", {"block_type": "sequential"}, {}, ["block_type", "llama", "sequential"]),
        ("llada", {}, {f"{BLOCK}.q_proj.weight": None}, ["layers.0.self_attn.q_proj.weight"]),
        ("llada", {}, {f"{BLOCK}.q_proj.weight": torch.ones(3, 3)}, ["q_proj", "shapes"]),
        ("llada", {}, {f"{BLOCK}.other.weight": torch.ones(3)}, ["layers.0.other.weight"]),
        ("llada", {}, {f"{BLOCK}.q_proj.weight": torch.ones(8, 8) / 0}, ["no numbers"]),
        ("dream", {}, {}, ["net.shift must be true", "net.start"]),
        ("dream", {"rope_scaling": {"type": "yarn"}}, {}, ["rope_scaling", "yarn"]),
    ],
)
def test_other_folders_are_refused_in_one_line(folder, peer, config, changes, words):
    with pytest.raises(InputError) as raised:
        Backbone(name=folder(peer, config, **changes), vocabulary=V, causal=True)
    message = str(raised.value)
    assert all(word in message for word in (*words, "net."))
    assert "\n" not in message
