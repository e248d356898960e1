"""A run under lm-evaluation-harness: likelihoods of continuations given a context."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

import tcsm


@pytest.fixture
def harness(monkeypatch):
    """The adapter, on the harness itself where that is installed."""
    if importlib.util.find_spec("lm_eval") is None:
        names = ("lm_eval", "lm_eval.api", "lm_eval.api.model", "lm_eval.api.registry")
        made = {name: ModuleType(name) for name in names}
        made["lm_eval.api.model"].LM = object
        made["lm_eval.api.registry"].register_model = lambda name: lambda kind: kind
        for name, module in made.items():
            monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "tcsm.harness", raising=False)
    yield importlib.import_module("tcsm.harness").Harness
    sys.modules.pop("tcsm.harness", None)


def asked(model, *requests):
    return model.loglikelihood([SimpleNamespace(args=request) for request in requests])


def test_an_autoregressive_run_gives_exact_conditionals(harness, trained):
    model = harness(str(trained("kjv/ar")))
    pairs = ["he", "zz", "ay"]
    for pair, (score, greedy) in zip(
        pairs, asked(model, *(("the wa", p) for p in pairs)), strict=True
    ):
        steps = [
            model.run.model.log_next(model._encode(prefix)[None])[0]
            for prefix in ("the wa", "the wa" + pair[0])
        ]
        letters = model._encode(pair).tolist()
        assert score == pytest.approx(
            sum(p[n].item() for p, n in zip(steps, letters, strict=True))
        )
        assert greedy == ([int(p.argmax()) for p in steps] == letters)


def test_a_diffusion_run_gives_its_bound_of_the_continuation(harness, trained):
    folder = trained("kjv/distribution")
    model = harness(str(folder), draws=2)
    ((score, _),) = asked(model, ("in the", " beginning"))
    tokens = model._encode("in the beginning")[None]
    real = torch.arange(tokens.shape[1])[None] >= len("in the")
    run = tcsm.load(folder)
    nats = tcsm.config.build(run.config.bound)(
        run.model, tokens, torch.tensor([0]), 0, 2, real
    ).nats
    assert score == pytest.approx(-float(nats.mean()))
    rolled = model.loglikelihood_rolling([SimpleNamespace(args=("in the beginning",))])
    assert rolled == [pytest.approx(-run.score(["in the beginning"], draws=2)[0].nats)]


def test_greedy_is_the_likeliest_token_of_a_position_in_turn(harness, trained):
    model = harness(str(trained("kjv/mdlm")))
    context = "in the b"
    x_t = torch.cat([model._encode(context), torch.tensor([27])])[None]
    t = model.run.model.path.schedule.inverse(torch.tensor([len(context) / x_t.shape[1]]))
    log_p = model.run.log_conditionals(x_t, t)[0, -1]
    best = model.run.tokenizer.decode(log_p.argmax()[None].numpy())
    letters = "abcdefghijklmnopqrstuvwxyz"
    answers = asked(model, *((context, letter) for letter in letters))
    assert [letter for letter, (_, greedy) in zip(letters, answers, strict=True) if greedy] == [
        best
    ] * (best != " ")


def test_what_cannot_be_scored_is_named(harness, trained):
    model = harness(str(trained("kjv/mdlm")))
    for continuation in ("", "a" * 99):
        with pytest.raises(tcsm.errors.InputError, match=r"request 0: the continuation .* tokens"):
            asked(model, ("in the ", continuation))
    with pytest.raises(tcsm.errors.InputError, match="generate"):
        model.generate_until([])
