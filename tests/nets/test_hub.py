"""GPT-2 and BERT as networks of ours, and as teachers."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.masked_lm import MaskedLM
from tcsm.models.teacher import Tabulated
from tcsm.nets.hub import BERT, GPT2, Hub, Pretrained
from tcsm.targets.adapters import Exact, Taylor, TopK
from tests.checkpoints import save
from tests.enumeration import sequences

V, L = 3, 4
SIZE = {"dim": 8, "depth": 2, "heads": 2, "length": 8}
X = torch.tensor([[0, 2, 1, 1], [1, 1, 2, 0]])
SITES = torch.tensor([[True, False, True, True], [False, True, False, False]])


def awake(net):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net.double().eval()


def logits(net, x):
    return net(x, None, torch.ones_like(x, dtype=torch.bool)).view(*x.shape, V)


@pytest.mark.parametrize("kind", [GPT2, BERT])
def test_it_is_a_network_and_all_of_it_learns(kind):
    net = awake(kind(vocabulary=V, **SIZE))
    assert (net.states, net.causal) == (V + 1, kind is GPT2)
    other = X.clone()
    other[:, 2] = (X[:, 2] + 1) % V
    moved = (logits(net, other) - logits(net, X)).abs().amax((0, 2)) > 1e-8
    assert moved.tolist() == [not net.causal, not net.causal, True, True]
    assert_close(net(X, None, SITES), logits(net, X)[SITES])
    logits(net, X).pow(2).sum().backward()
    used = net.lm.get_input_embeddings().weight.grad.abs().amax(-1) > 0
    assert used.tolist() == [True, True, True, False]
    assert net.embedding.tolist() == net.lm.get_input_embeddings().weight.tolist()


@pytest.mark.parametrize("kind", [GPT2, BERT])
def test_its_weights_can_be_saved(kind, tmp_path):
    from safetensors.torch import load_file, save_file

    net = awake(kind(vocabulary=V, **SIZE))
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    fresh = kind(vocabulary=V, **SIZE).double().eval()
    fresh.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert_close(logits(fresh, X), logits(net, X))


@torch.no_grad()
def test_a_checkpoint_without_a_cache_reads_every_text_again(monkeypatch):
    model = Autoregressive(awake(GPT2(vocabulary=V, **SIZE)))
    expected = Exact().attach(model).log_conditionals(X, SITES)
    forward = model.net.lm.forward

    def without(**given):
        assert not given.get("past_key_values")
        out = forward(**given)
        out.past_key_values = None
        return out

    monkeypatch.setattr(model.net.lm, "forward", without)
    assert_close(Exact().attach(model).log_conditionals(X, SITES), expected)


@torch.no_grad()
def test_a_gpt2_teaches_exactly_and_by_taylor():
    model = Autoregressive(awake(GPT2(vocabulary=V, **SIZE)))
    everything = torch.from_numpy(sequences(V, L))
    log_next = model.log_next_at(everything, torch.ones_like(everything, dtype=torch.bool))
    joint = log_next.gather(-1, everything.flatten()[:, None]).view(-1, L).sum(-1)
    exact = Tabulated(joint.view((V,) * L)).log_conditionals(X, SITES)
    assert_close(Exact().attach(model).log_conditionals(X, SITES), exact)
    assert_close(TopK(k=V).attach(model).log_conditionals(X, SITES), exact)
    read = []
    model.net.lm.transformer.h[0].register_forward_hook(lambda _, given, __: read.append(given))
    assert_close(Exact(batch=V).attach(model).log_conditionals(X, SITES), exact)
    positions = [given[0].shape[0] * given[0].shape[1] for given in read]
    after = (L - 1 - SITES.nonzero()[:, 1]).sum()
    assert sum(positions) == X.numel() + (V - 1) * after  # prefixes once, suffixes of others
    everywhere = torch.ones_like(X, dtype=torch.bool)
    by_embedding = model.log_next_of(model.embedding[X]).flatten(0, 1)
    assert_close(by_embedding, model.log_next_at(X, everywhere))
    assert_close(
        Taylor().attach(model).log_conditionals(X, SITES).exp().sum(-1), torch.ones(4).double()
    )


@torch.no_grad()
def test_a_bert_teaches_without_seeing_the_position():
    teacher = MaskedLM(awake(BERT(vocabulary=V, **SIZE)), batch=3)
    actual = teacher.log_conditionals(X, SITES)
    other = torch.where(SITES & (SITES.cumsum(-1) == 1), (X + 1) % V, X)
    first = SITES.nonzero()[:, 1] == SITES.int().argmax(-1)[SITES.nonzero()[:, 0]]
    assert_close(teacher.log_conditionals(other, SITES)[first], actual[first])


@pytest.mark.parametrize("causal", [True, False])
@torch.no_grad()
def test_a_checkpoint_in_its_own_numbers(causal, tmp_path):
    """Logits are those of the library for its own ids, with what stands around the text."""
    kind = save(tmp_path, causal=causal, vocabulary=11, places=9)
    lm, tokens = kind.from_pretrained(tmp_path), [7, 2, 9, 4]
    after = [] if causal else [1]
    fields = {"vocabulary": V, "causal": causal, "before": [10], "after": after}
    net = Pretrained(name=str(tmp_path), tokens=tokens[:V], extra=tokens[V], **fields)
    ids = torch.tensor(tokens)[X]
    parts = [torch.tensor([part], dtype=torch.int64).expand(2, -1) for part in ([10], after)]
    whole = torch.cat([parts[0], ids, parts[1]], 1)
    expected = lm(whole).logits[:, 1 : 1 + L, tokens[:V]]
    assert_close(logits(net, X), expected)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"net\.name: .* cannot be loaded"):
        Pretrained(name=str(tmp_path), extra=3, vocabulary=V, causal=True)
    lm = GPT2(vocabulary=V, **SIZE).lm
    lm.set_input_embeddings(torch.nn.Embedding(4, 8))
    with pytest.raises(InputError, match=r"net\.tokens "):
        Hub(lm, [0, 9], V, causal=True)


def test_a_checkpoint_is_that_of_a_commit(monkeypatch, tmp_path):
    kind = save(tmp_path, causal=True, vocabulary=11, places=9)
    expected = {}

    def load(name, **how):
        expected.update(how, name=name)
        return kind.from_pretrained(tmp_path, output_loading_info=True)

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", load)
    Pretrained(name="some/model", revision="abc", extra=3, vocabulary=V, causal=True)
    assert (expected["name"], expected["revision"]) == ("some/model", "abc")
