"""Tokenizers are exact, and refuse what they cannot represent."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcsm.data.tokenizers import Bytes, HuggingFace, Letters
from tcsm.errors import InputError

TEXT = "the cat sat on the mat.\nthe end\n\n\n  of the café\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A byte-level BPE tokenizer of 280 ids in one file, tokenizer.json."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    model = ByteLevelBPETokenizer()
    model.train_from_iterator(
        [TEXT] * 3, vocab_size=280, min_frequency=1, special_tokens=["<|endoftext|>"]
    )
    assert model.get_vocab_size() == 280
    path = tmp_path_factory.mktemp("bpe")
    PreTrainedTokenizerFast(tokenizer_object=model, eos_token="<|endoftext|>").save_pretrained(
        path
    )
    return path


@given(st.text(alphabet=Letters.alphabet))
def test_letters_round_trip(text):
    tokenizer = Letters()
    tokens = tokenizer.encode(text)
    assert tokens.dtype == tokenizer.dtype == np.uint8
    assert tokenizer.decode(tokens) == text


@given(st.text())
def test_bytes_round_trip(text):
    tokenizer = Bytes()
    tokens = tokenizer.encode(text)
    assert tokens.size == len(text.encode())
    assert tokenizer.decode(tokens) == text


def test_letters_ids():
    assert Letters().encode("a z").tolist() == [1, 0, 26]
    assert Letters().decode(np.array([3, 1, 2])) == "cab"
    assert Letters().characters(np.zeros((2, 5), dtype=np.int64)).tolist() == [5, 5]


@pytest.mark.parametrize(("text", "symbol", "at"), [("abC", "'C'", 2), ("é", "'é'", 0)])
def test_unknown_letter_is_named(text, symbol, at):
    with pytest.raises(
        InputError, match=rf"no symbol {symbol}, found at character {at}, .*a to z"
    ):
        Letters().encode(text)


def test_bytes_that_are_no_text_are_shown_as_such():
    assert Bytes().decode(np.array([0x61, 0xFF])) == "a\ufffd"


def test_fingerprints_differ():
    assert len({Letters().fingerprint, Bytes().fingerprint}) == 2


def test_hugging_face_round_trip(folder):
    tokenizer = HuggingFace(folder, size=280)
    tokens = tokenizer.encode(TEXT)
    assert tokens.dtype == np.dtype("<u2")
    assert tokens.size < len(TEXT)
    assert tokenizer.decode(tokens) == TEXT
    assert tokenizer.encode("").size == 0


@pytest.mark.slow
@settings(max_examples=30)
@given(part=st.text(alphabet=" \n\tacest.é\x1c", min_size=20, max_size=60))
def test_long_texts_are_cut_where_merges_stay(folder, part):
    tokenizer = HuggingFace(folder, size=280)
    text = part * 500
    whole = tokenizer._inner(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.encode(text).tolist() == whole


def test_hugging_face_counts_characters_not_separators(folder):
    tokenizer = HuggingFace(folder, size=280)
    tokens = np.append(tokenizer.encode("the cat"), tokenizer.separator)
    assert tokenizer.characters(tokens[None]).tolist() == [7]


def test_hugging_face_fingerprint_is_that_of_the_merges(folder, tmp_path):
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["merges"].reverse()
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    one, again, other = (HuggingFace(path, size=280) for path in (folder, folder, tmp_path))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_bare_files_of_gpt2(folder, tmp_path):
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    (tmp_path / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(" ".join(pair) for pair in model["merges"]) + "\n"
    )
    tokens = HuggingFace(tmp_path, size=280).encode(TEXT)
    assert tokens.tolist() == HuggingFace(folder, size=280).encode(TEXT).tolist()


def test_empty_tokenizer_is_refused(tmp_path):
    (tmp_path / "vocab.json").write_text('{"<|endoftext|>": 0}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(InputError, match=r"a tokenizer of 1 ids, but tokenizer.size is 50257"):
        HuggingFace(tmp_path, size=50257)
    with pytest.raises(InputError, match="vocabulary and merges files"):
        HuggingFace(tmp_path, size=1)


def test_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: no tokenizer can be loaded"):
        HuggingFace(tmp_path, size=280)
