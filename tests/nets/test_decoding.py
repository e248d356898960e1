"""Networks that read state by state give the logits of those that read everything again."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.models.autoregressive import Autoregressive
from tcsm.nets.decoding import Decoder, HubCache, KeyValueCache, decoder
from tcsm.nets.hub import GPT2
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise, categorical
from tcsm.samplers.conditioning import Conditioning
from tcsm.samplers.next_token import NextToken

V, L = 5, 9


def awake(net):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net.double().eval()


def transformer(stem):
    sizes = {"vocabulary": V, "extra": 1, "dim": 8, "depth": 3, "heads": 2}
    return awake(Transformer(**sizes, causal=True, stem=stem))


NETS = {
    "plain": (lambda: transformer(0), KeyValueCache),
    "stem": (lambda: transformer(5), KeyValueCache),
    "gpt2": (lambda: awake(GPT2(vocabulary=V, dim=8, depth=2, heads=2, length=L)), HubCache),
}


@pytest.mark.parametrize("prefix", [1, 3, 7])
@pytest.mark.parametrize("name", NETS)
def test_logits_are_those_of_the_complete_pass(name, prefix):
    build, kind = NETS[name]
    net = build()
    x = torch.randint(V + 1, (4, L), generator=torch.Generator().manual_seed(1))
    everywhere = net(x, None, torch.ones_like(x, dtype=torch.bool)).view(4, L, V)
    cache, again = decoder(net, L), Decoder(net)
    assert isinstance(cache, kind)
    for part in (x[:, :prefix], *x[:, prefix:].split(1, 1)):
        logits, end = cache.read(part), prefix
        prefix += 1
        assert_close(logits, everywhere[:, end - 1], rtol=0, atol=1e-10)
        assert_close(again.read(part), logits, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("known", [0, 4, L])
def test_samples_are_those_of_the_model_that_reads_each_prefix_again(name, known):
    model = Autoregressive(NETS[name][0]())
    given = Conditioning(torch.arange(L) % V, torch.arange(L) < known)
    drawn = NextToken(steps=1)(model, 6, L, 3, given).tokens
    u = batch_noise(3, 0, 6).uniform("token", L)
    x = given.tokens[:known].expand(6, known)
    for index in range(known, L):
        x = torch.cat([x, categorical(model.log_next(x), u[:, index])[:, None]], 1)
    assert torch.equal(drawn, x)


def test_a_network_without_past_reads_everything_again():
    net = NETS["gpt2"][0]()
    forward = net.lm.forward
    net.lm.forward = lambda past_key_values=None, use_cache=False, **inputs: forward(
        use_cache=False, **inputs
    )
    x = torch.tensor([[5, 0, 1, 2]])
    cache = decoder(net, 4)
    parts = [cache.read(part) for part in x.split(1, 1)]
    assert_close(torch.stack(parts, 1), net(x, None, x >= 0)[None])


def test_several_states_after_the_first_ones_are_refused():
    cache = decoder(transformer(0), L)
    cache.read(torch.zeros(1, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="one state at a time"):
        cache.read(torch.zeros(1, 2, dtype=torch.int64))
