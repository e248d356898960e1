"""Language models of `transformers` as networks of diffusion models."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.nets.backbone import Backbone
from tests.checkpoints import FAMILIES, GROUPED, make

V, START = 7, 2
SHAPES = {
    family: ((f"{name}ForCausalLM"), {**GROUPED, "head_dim": 4}, "max_position_embeddings")
    for family, name in {"qwen2": "Qwen2", "llama": "Llama"}.items()
}
CAUSAL = ["gpt2", "gemma", "gemma3", "xglm", "bart", "qwen2", "llama"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a family's checkpoint; to be read only."""
    known = {}

    def folder(family):
        if family not in known:
            known[family] = tmp_path_factory.mktemp(family)
            with pytest.MonkeyPatch.context() as patch:
                for name, shape in SHAPES.items():
                    patch.setitem(FAMILIES, name, shape)
                make(family).save_pretrained(known[family])
        return str(known[family])

    return folder


def backbone(folder, causal=True, **how):
    return Backbone(**{"name": folder, "vocabulary": V, "causal": causal, **how}).eval()


def logits(net, x):
    return net(x, None, torch.ones_like(x, dtype=torch.bool)).view(*x.shape, V)


@pytest.mark.parametrize("family", CAUSAL)
@torch.no_grad()
def test_a_causal_model_sees_the_future_and_starts_as_itself(saved, family):
    """With a closed future and a shift, logits are its own of the next token; then it opens."""
    import transformers

    net = backbone(saved(family), start=START, shift=True, opening=2)
    x = torch.tensor([[0, 3, 1, 6, 5], [2, 2, 4, 1, 0]])
    raw = transformers.AutoModelForCausalLM.from_pretrained(saved(family)).eval()
    ids = torch.cat([torch.full((2, 1), START), x], 1)
    assert_close(logits(net, x), raw(input_ids=ids).logits[:, :-1, :V], atol=1e-4, rtol=1e-4)
    other = x.clone()
    other[:, -1] = 4
    assert_close(logits(net, other), logits(net, x), atol=1e-4, rtol=1e-4)
    net.train()
    for _ in range(2):
        logits(net, x)
    net.eval()
    assert (logits(net, other) != logits(net, x)).any(-1)[0].all()
    copy = backbone(saved(family), start=START, shift=True, opening=2)
    copy.load_state_dict(net.state_dict())
    assert_close(logits(copy, x), logits(net, x))


@torch.no_grad()
def test_a_new_mask_is_the_mean_and_moves_no_logit(saved):
    net = backbone(saved("gemma"))
    table = net.lm.get_input_embeddings().weight
    assert net.numbers[V] == 64
    assert_close(table[64], table[:64].mean(0))
    x = torch.tensor([[0, V, 3, V]])
    known = backbone(saved("gemma"), mask=50)
    assert_close(logits(known, x % V), logits(net, x % V))


def test_every_weight_of_a_masked_model_is_trained(saved):
    net = backbone(saved("bert"), causal=False, mask=5, start=2, end=3).train()
    x = torch.tensor([[0, V, 3, V]])
    net(x, None, x == V).square().sum().backward()
    assert net.longest == 30
    idle = [key for key, w in net.named_parameters() if w.grad is None]
    assert not [key for key in idle if "predictions.bias" not in key]


def test_lora_trains_its_matrices_alone(saved):
    pytest.importorskip("peft", reason="the extra lora is not installed")
    net = backbone(saved("qwen2"), lora=2)
    x = torch.tensor([[0, V, 3, V]])
    assert_close(logits(net, x), logits(backbone(saved("qwen2")), x))
    trained = [key for key, weight in net.named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora_" in key for key in trained)


@pytest.mark.parametrize(
    ("family", "how", "words"),
    [
        ("gpt2", {"vocabulary": 65}, ["net.vocabulary", "64"]),
        ("gpt2", {"length": 33}, ["net.length", "32", "33"]),
        ("gpt2", {"shift": True}, ["net.shift", "net.start"]),
        ("gpt2", {"opening": -1}, ["net.opening", "-1"]),
        ("gpt2", {"tokens": [1, 2]}, ["net.tokens", "7"]),
        ("gpt2", {"name": None}, ["net.name", "null"]),
        ("opt", {}, ["net.name", "OPTForCausalLM"]),
        ("mamba", {}, ["net.name", "MambaForCausalLM"]),
        ("xlnet", {}, ["net.causal"]),
        ("bert", {"causal": True}, ["net.causal"]),
    ],
)
def test_what_cannot_be_a_network_is_refused_in_one_line(saved, family, how, words):
    with pytest.raises(InputError) as raised:
        backbone(saved(family), **how)
    message = str(raised.value)
    assert all(word in message for word in words)
    assert "\n" not in message
