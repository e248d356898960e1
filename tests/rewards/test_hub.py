"""Tiny classifiers of `transformers`, written to a folder as users have them."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.rewards.base import scores
from tcsm.rewards.hub import HubClassifier

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "b"]
TEXTS = ["good film", "bad", "a bad film a good film", "b", ""]
LABELS = {0: "negative", 1: "neutral", 2: "positive"}


def save(folder, **settings):
    """A BERT with random weights, and its words; returns both."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    size |= {"intermediate_size": 16, "max_position_embeddings": 12}
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(vocab_size=len(WORDS), initializer_range=1.0, **size, **settings)
    )
    model.eval().save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertTokenizerFast.from_pretrained(folder, model_max_length=12)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentiment")
    model, tokenizer = save(folder, id2label=LABELS, label2id={v: k for k, v in LABELS.items()})
    return str(folder), model, tokenizer


@torch.no_grad()
def logits(model, tokenizer, texts=TEXTS):
    """One text at a time, no padding."""
    rows = [model(**tokenizer(text, return_tensors="pt")).logits for text in texts]
    return torch.cat(rows).double()


@pytest.mark.parametrize("label", ["positive", 2])
def test_log_odds_are_those_of_the_softmax(sentiment, label):
    folder, model, tokenizer = sentiment
    log_p = logits(model, tokenizer).log_softmax(-1)[:, 2]
    expected = log_p - torch.log1p(-log_p.exp())
    found = torch.from_numpy(scores(HubClassifier(folder, label, batch=2), TEXTS))
    assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_the_logit_itself_if_that_is_asked_for(sentiment):
    folder, model, tokenizer = sentiment
    found = torch.from_numpy(scores(HubClassifier(folder, "neutral", odds=False), TEXTS))
    assert_close(found, logits(model, tokenizer)[:, 1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{"num_labels": 1}, {"num_labels": 3, "problem_type": "multi_label_classification"}],
)
def test_labels_that_do_not_exclude_each_other_have_log_odds_of_their_own(tmp_path, settings):
    model, tokenizer = save(tmp_path, **settings)
    found = torch.from_numpy(scores(HubClassifier(str(tmp_path), 0), TEXTS))
    assert_close(found, logits(model, tokenizer)[:, 0], atol=1e-5, rtol=1e-5)


def test_a_long_text_is_read_to_its_limit(sentiment):
    folder, *_ = sentiment
    long = "good film " * 50
    assert scores(HubClassifier(folder, 2), [long, "good film " * 5]).tolist() == (
        pytest.approx([scores(HubClassifier(folder, 2), ["good film " * 5])[0]] * 2, abs=1e-5)
    )
    short = HubClassifier(folder, 2, length=4)  # [CLS] good film [SEP]
    assert scores(short, [long]) == pytest.approx(scores(short, ["good film"]), abs=1e-6)


@torch.no_grad()
def test_a_model_that_writes_is_padded(tmp_path):
    """It reads the label off the last token, and has no symbol to pad with."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedTokenizerFast

    torch.manual_seed(0)
    size = {"n_positions": 12, "n_embd": 8, "n_layer": 1, "n_head": 2, "initializer_range": 1.0}
    model = GPT2ForSequenceClassification(GPT2Config(vocab_size=len(WORDS), **size)).eval()
    model.save_pretrained(tmp_path)
    inner = Tokenizer(models.WordLevel(dict(zip(WORDS, range(10), strict=True)), "[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="[SEP]")
    tokenizer.save_pretrained(tmp_path)
    texts = [text for text in TEXTS if text]
    z = logits(model, tokenizer, texts)
    found = torch.from_numpy(scores(HubClassifier(str(tmp_path), 1), texts))
    assert_close(found, z[:, 1] - z[:, 0], atol=1e-5, rtol=1e-5)


def test_no_text_no_reward(sentiment):
    assert scores(HubClassifier(sentiment[0], 2), []).shape == (0,)


@pytest.mark.parametrize("label", ["happy", 3])
def test_an_unknown_label_is_told(sentiment, label):
    known = "it has 0 negative, 1 neutral, 2 positive"
    with pytest.raises(InputError, match=rf"reward\.label: .* has no label {label!r}; {known}"):
        scores(HubClassifier(sentiment[0], label), TEXTS)


def test_a_missing_checkpoint_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"reward\.name: .*none cannot be loaded"):
        scores(HubClassifier(str(tmp_path / "none"), 0), TEXTS)


def test_a_model_without_a_classifier_is_told(tmp_path):
    """Such a checkpoint would load with a head of random numbers."""
    model, _ = save(tmp_path)
    model.bert.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"reward\.name: .*lacks .*: classifier\.bias"):
        scores(HubClassifier(str(tmp_path), 0), TEXTS)


def test_a_missing_device_is_told(sentiment):
    with pytest.raises(InputError, match=r"reward\.device: nowhere cannot be used"):
        scores(HubClassifier(sentiment[0], 0, device="nowhere"), TEXTS)


@pytest.mark.parametrize("key", ["batch", "length"])
def test_bad_sizes_are_refused(key):
    with pytest.raises(InputError, match=rf"reward\.{key} must be 1 or more, found 0"):
        HubClassifier("any", 0, **{key: 0})
