"""Tiny classifiers of `transformers`, written to a folder as users have them."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.rewards.base import scores
from tcsm.rewards.combined import CachedReward, Sum
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
    actual = torch.from_numpy(scores(HubClassifier(folder, label, batch=2), TEXTS))
    assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_the_logit_itself_if_that_is_asked_for(sentiment):
    folder, model, tokenizer = sentiment
    actual = torch.from_numpy(scores(HubClassifier(folder, "neutral", odds=False), TEXTS))
    assert_close(actual, logits(model, tokenizer)[:, 1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [{"num_labels": 1}, {"num_labels": 3, "problem_type": "multi_label_classification"}],
)
def test_labels_that_do_not_exclude_each_other_have_log_odds_of_their_own(tmp_path, settings):
    model, tokenizer = save(tmp_path, **settings)
    actual = torch.from_numpy(scores(HubClassifier(str(tmp_path), 0), TEXTS))
    assert_close(actual, logits(model, tokenizer)[:, 0], atol=1e-5, rtol=1e-5)


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
    actual = torch.from_numpy(scores(HubClassifier(str(tmp_path), 1), texts))
    assert_close(actual, z[:, 1] - z[:, 0], atol=1e-5, rtol=1e-5)


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
    with pytest.raises(InputError, match=rf"reward\.{key} .*0"):
        HubClassifier("any", 0, **{key: 0})


def words(folder, **settings):
    """A tokenizer of words, as a file that does not say what model it is of."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel(dict(zip(WORDS, range(10), strict=True)), "[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    named = {"eos_token": "[SEP]", **settings}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **named)
    tokenizer.save_pretrained(folder)
    return tokenizer


def writer(folder, kind="Llama", dtype=torch.float32, **settings):
    """A classifier on top of a model that writes: it reads the label off the last token."""
    import transformers

    torch.manual_seed(0)
    size = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    size |= {"num_key_value_heads": 2} if kind == "Llama" else {}
    size |= {"intermediate_size": 16, "max_position_embeddings": 12, "initializer_range": 1.0}
    tokens = {"vocab_size": 10, "pad_token_id": None, "bos_token_id": 2, "eos_token_id": 3}
    config = getattr(transformers, f"{kind}Config")(**(size | tokens | settings))
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config).eval()
    model.to(dtype).save_pretrained(folder)
    return model


MANY = [
    "good film",
    "bad",
    "a bad film a good film",
    "b",
    "good",
    "a b a b a b a b",
    "film film a",
]


@pytest.mark.parametrize("kind", ["Llama", "GPTNeoX", "Roberta"])
@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_a_reward_does_not_depend_on_the_others(tmp_path, kind, side):
    """Whatever side its tokenizer pads on; the numbers are those of each text alone."""
    settings = {"pad_token_id": 0} if kind == "Roberta" else {}
    model = writer(tmp_path, kind, **settings)
    tokenizer = words(tmp_path, padding_side=side, pad_token="[PAD]")
    alone = [model(input_ids=tokenizer(t, return_tensors="pt")["input_ids"]).logits for t in MANY]
    z = torch.cat(alone).double()
    reward = HubClassifier(str(tmp_path), 1)
    for batch in (1, 3, 64):
        some = torch.from_numpy(scores(HubClassifier(str(tmp_path), 1, batch=batch), MANY))
        assert_close(some, z[:, 1] - z[:, 0], atol=1e-5, rtol=1e-5)
    assert_close(scores(reward, MANY[::-1])[::-1].copy(), some.numpy(), atol=1e-5, rtol=1e-5)


def test_a_text_without_tokens_has_a_reward_of_its_own(tmp_path):
    writer(tmp_path)
    words(tmp_path)
    reward = HubClassifier(str(tmp_path), 1)
    assert scores(reward, ["", *MANY])[0] == pytest.approx(scores(reward, [""])[0], abs=1e-5)


def test_one_that_cannot_read_an_empty_text_is_refused_at_once(tmp_path):
    writer(tmp_path)
    words(tmp_path, eos_token=None)
    with pytest.raises(InputError, match=r"reward\.name: .*eos_token"):
        HubClassifier(str(tmp_path), 1).open()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_it_is_asked_in_float32_unless_another_is_asked_for(tmp_path, dtype):
    writer(tmp_path, dtype=dtype)
    words(tmp_path)
    reward = HubClassifier(str(tmp_path), 1)
    assert {p.dtype for p in reward.model.parameters()} == {torch.float32}
    together, alone = scores(reward, MANY), [scores(reward, [text])[0] for text in MANY]
    assert together.tolist() == pytest.approx(alone, abs=1e-5)
    expected = HubClassifier(str(tmp_path), 1, dtype="bfloat16")
    assert scores(expected, MANY).tolist() == pytest.approx(together.tolist(), abs=0.5)
    with pytest.raises(InputError, match=r"reward\.dtype .*half"):
        scores(HubClassifier(str(tmp_path), 1, dtype="half"), MANY)


def test_a_text_is_cut_where_the_positions_end(tmp_path):
    """Twelve rows of positions, of which RoBERTa leaves out two."""
    writer(tmp_path, "Roberta", pad_token_id=1)
    words(tmp_path, pad_token="[UNK]")
    reward = HubClassifier(str(tmp_path), 1)
    long, cut = "good film " * 50, "good film " * 5
    assert scores(reward, [long]) == pytest.approx(scores(reward, [cut]))
    assert scores(reward, [cut]) != pytest.approx(scores(reward, ["good film " * 4]))


def test_several_values_of_a_regression_have_no_odds(tmp_path):
    model, tokenizer = save(tmp_path, num_labels=3, problem_type="regression")
    with pytest.raises(InputError, match=r"reward\.odds: found true, .*regression of 3"):
        scores(HubClassifier(str(tmp_path), 1), TEXTS)
    actual = scores(HubClassifier(str(tmp_path), 1, odds=False), TEXTS)
    assert actual.tolist() == pytest.approx(logits(model, tokenizer)[:, 1].tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("names", "label", "number"),
    [
        ({0: "negative", 1: "positive"}, "1", 1),
        ({0: "negative", 1: "positive"}, 1, 1),
        ({0: "1", 1: "2"}, "2", 1),
        ({0: "0", 1: "1"}, 1, 1),
        ({0: "1", 1: "0"}, 1, None),
        ({0: "1", 1: "0"}, "1", 0),
        ({0: "False", 1: "True"}, True, 1),
        ({0: "negative", 1: "positive"}, True, None),
        ({0: "negative", 1: "positive"}, "Positive", None),
        ({0: "same", 1: "same"}, "same", None),
    ],
)
def test_a_label_is_one_by_name_or_number(tmp_path, names, label, number):
    save(tmp_path, id2label=names, label2id={})
    reward = HubClassifier(str(tmp_path), label)
    if number is None:
        with pytest.raises(InputError, match=rf"reward\.label: .*{label!r}.* 1 {names[1]}"):
            scores(reward, [])
    else:
        assert reward.place == number


def test_it_is_loaded_when_it_is_opened(tmp_path):
    """Also where it is wrapped: then its keys are further below."""
    missing = HubClassifier(str(tmp_path / "none"), 0)
    for reward, key in (
        (missing, "reward"),
        (CachedReward(missing), r"reward\.reward"),
        (Sum([CachedReward(missing)], [1.0]), r"reward\.rewards\.0\.reward"),
    ):
        with pytest.raises(InputError, match=rf"^{key}\.name: .*none cannot be loaded"):
            reward.open()


def test_a_tokenizer_that_does_not_fit_the_model_is_one_line(tmp_path):
    save(tmp_path)
    tokenizer = words(tmp_path)
    tokenizer.add_tokens(["strange"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"^reward\.name: .* cannot be evaluated: .*$"):
        scores(HubClassifier(str(tmp_path), 0), ["strange film"])


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "config.json"])
def test_a_damaged_file_is_named(tmp_path, name):
    save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-30])
    with pytest.raises(InputError, match=rf"^reward\.name: {tmp_path}.*{name}.*$"):
        scores(HubClassifier(str(tmp_path), 0), TEXTS)


@pytest.mark.parametrize("family", ["Bert", "Roberta", "T5"])
def test_a_classifier_without_its_tokenizer_is_refused(tmp_path, family):
    """The library makes a tokenizer of control tokens alone: rewards would be noise."""
    import transformers

    size = {"vocab_size": 20, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    size |= {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    size |= {"intermediate_size": 8, "max_position_embeddings": 12}
    kind = getattr(transformers, f"{family}ForSequenceClassification")
    kind(kind.config_class(**size)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="its tokenizer cannot be loaded: it is empty") as raised:
        HubClassifier(str(tmp_path), 1).open()
    assert str(tmp_path) in str(raised.value)
