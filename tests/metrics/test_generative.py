"""Quality of samples by a causal language model: against a pass by hand, and what is refused."""

import math
import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tcsm.data.tokenfile import Piece, describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Bytes
from tcsm.errors import InputError
from tcsm.metrics.generative import Generative
from tcsm.models.autoregressive import Autoregressive
from tcsm.nets.transformer import Transformer
from tcsm.samplers.base import Sampled, Sampler
from tests.checkpoints import save
from tests.metrics.test_zero_shot import evaluated
from tests.tokenizer_kinds import byte_level, saved

TEXTS = ["abab", "The ", "cats", "aaaa"]


@dataclass(frozen=True)
class Fixed(Sampler):
    """Always the same texts."""

    def __call__(self, model, count, length, seed, conditioning=None):
        rows = [list(text.encode()) for text in TEXTS[:count]]
        return Sampled(torch.tensor(rows), 1)


def metric(folder, mauve=False, count=4):
    return Generative(Fixed(1), count, 1, str(folder), "main", mauve)


def test_perplexity_and_entropy(tmp_path):
    folder, size = saved(tmp_path / "lm", byte_level())
    save(folder, causal=True, vocabulary=size, places=3)  # fewer than some texts have tokens
    fields = metric(folder)(evaluated(tmp_path))().fields
    model, tokenizer = (
        kind.from_pretrained(folder) for kind in (AutoModelForCausalLM, AutoTokenizer)
    )
    nats, count = 0.0, 0
    for text in TEXTS:
        ids = torch.tensor([tokenizer(text)["input_ids"][:3]])
        count += ids.shape[1] - 1
        if ids.shape[1] > 1:
            nats += float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)
    assert fields["tokens"] == count
    assert fields["perplexity"] == pytest.approx(math.exp(nats / count), rel=1e-5)
    by_hand = [math.log(2), math.log(4), math.log(4), 0]
    assert fields["unigram_entropy"] == pytest.approx(sum(by_hand) / 4)
    assert "mauve" not in fields


def test_a_judge_scores_without_a_language_model(tmp_path):
    """Bits per character of an autoregressive run, by hand."""
    sizes = {"dim": 8, "depth": 1, "heads": 2, "ratio": 1, "stem": 0}
    net = Transformer(vocabulary=256, extra=1, causal=True, timed=False, **sizes)
    torch.nn.init.normal_(net.head.weight)
    judge = Autoregressive(net)
    given = replace(evaluated(tmp_path), open_model=lambda key, folder: judge)
    measured = Generative(Fixed(1), 4, 1, None, "main", False, str(tmp_path))(given)()
    nats = -judge.log_prob(torch.tensor([list(text.encode()) for text in TEXTS])).sum()
    assert measured.fields["judge_bpc"] == pytest.approx(float(nats.detach()) / math.log(2) / 16)
    assert measured.fields["network_calls"] == 1
    assert measured.fields["distinct_4"] == 1
    assert "perplexity" not in measured.fields
    assert measured.costs["sampling_cpu_seconds"] >= 0
    with pytest.raises(InputError, match=r"metric\.generative\.name.*judge"):
        Generative(Fixed(1), 4, 1, None, "main", False)(given)


def test_mauve_compares_states_of_as_many_windows(tmp_path, monkeypatch):
    folder, size = saved(tmp_path / "lm", byte_level())
    save(folder, causal=True, vocabulary=size, places=8)
    seen = {}

    def compute_mauve(**given):
        seen.update(given)
        return SimpleNamespace(mauve=0.5)

    monkeypatch.setitem(sys.modules, "mauve", SimpleNamespace(compute_mauve=compute_mauve))
    ids = Bytes().encode("".join(TEXTS))
    write_tokens(tmp_path / "test.tok", [Piece(ids, 16)], describe(Bytes(), "t", "test"))
    file = open_tokens(tmp_path / "test.tok", Bytes())
    given = replace(evaluated(tmp_path), open_split=lambda split: file)
    assert metric(folder, True)(given)().fields["mauve"] == 0.5
    assert (seen["p_features"] == seen["q_features"]).all()
    assert seen["p_features"].shape == (4, 8)
    monkeypatch.setitem(sys.modules, "mauve", None)
    with pytest.raises(InputError, match=r"metric\.generative\.mauve.*\[mauve\]"):
        metric(folder, True)(given)


def test_refusals(tmp_path):
    with pytest.raises(InputError, match=r"metric\.generative\.name: .*lm"):
        metric(tmp_path / "lm")(evaluated(tmp_path))
    with pytest.raises(InputError, match=r"metric\.generative\.count.* 1"):
        metric(tmp_path, count=1)
