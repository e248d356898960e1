"""A corpus becomes token files."""

import numpy as np
import pytest

from tcsm.data.corpora.base import Corpus
from tcsm.data.prepare import prepare
from tcsm.data.shards import Shards, pieces
from tcsm.data.tokenfile import open_tokens, read_header
from tcsm.data.tokenizers import Bytes, Letters
from tcsm.errors import InputError


def make(corpus, tmp_path):
    return prepare(corpus, Shards(tmp_path / "shards", Letters()), tmp_path / "data")


class Fable(Corpus):
    title = "fable"

    def splits(self):
        return {"train": ["the fox", "the crow"], "valid": iter(["cheese"]), "test": ["a tree"]}


def test_prepare_writes_three_files(tmp_path):
    headers = make(Fable(), tmp_path)
    assert [*headers] == ["train", "valid", "test"]
    for split, text in [("train", "the fox the crow"), ("valid", "cheese"), ("test", "a tree")]:
        file = open_tokens(tmp_path / "data" / f"{split}.tok", Letters())
        assert Letters().decode(file.tokens) == text
        assert file.header == headers[split] == read_header(tmp_path / "data" / f"{split}.tok")
        assert file.header.characters == len(text)


def test_documents_are_separated():
    tokens = np.concatenate(
        [piece.tokens for piece in pieces(["ab", "c", ""], Bytes(), "letters")]
    )
    assert tokens.tobytes() == b"ab\nc\n"


def test_unknown_symbol_leaves_no_file(tmp_path):
    class Bad(Fable):
        def splits(self):
            return {"train": ["Ab"]}

    with pytest.raises(
        InputError, match="corpus fable: the tokenizer 'letters' has no symbol 'A'"
    ):
        make(Bad(), tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_corpus_that_fails_late_leaves_the_former_files(tmp_path):
    class Bad(Fable):
        def splits(self):
            return {"train": ["another text"], "valid": ["fine"], "test": ["no, not fine"]}

    make(Fable(), tmp_path)
    before = {file.name: file.read_bytes() for file in (tmp_path / "data").iterdir()}
    with pytest.raises(InputError, match="no symbol ','"):
        make(Bad(), tmp_path)
    assert {file.name: file.read_bytes() for file in (tmp_path / "data").iterdir()} == before
