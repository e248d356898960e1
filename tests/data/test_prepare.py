"""A corpus becomes token files."""

import numpy as np
import pytest

from tcsm.data.corpora.base import Corpus
from tcsm.data.header import read_header
from tcsm.data.prepare import prepare
from tcsm.data.shards import Shards, pieces
from tcsm.data.tokenfile import open_tokens
from tcsm.data.tokenizers import Bytes, HuggingFace, Letters
from tcsm.errors import InputError
from tests.tokenizer_kinds import KINDS, saved


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


class Story(Corpus):
    title = "story"

    def __init__(self, text="The cat sat.  On the mat!"):
        self.text = text

    def splits(self):
        return {"train": [self.text, "", "the  end "], "valid": [self.text], "test": [self.text]}


@pytest.mark.parametrize("kind", KINDS)
def test_every_token_has_its_characters(tmp_path, kind):
    tokenizer = HuggingFace(*saved(tmp_path / "tokenizer", KINDS[kind]()))
    text = f"{Story().text} [MASK] </s>"
    shards = Shards(tmp_path / "shards", tokenizer, characters=8)
    prepare(Story(text), shards, tmp_path / "data")
    file = open_tokens(tmp_path / "data/train.tok", tokenizer)
    lengths = file.lengths()
    assert lengths.sum() == file.header.characters == len(text) + len("the  end ")
    assert lengths[file.tokens == tokenizer.separator].tolist() == [0, 0]
    assert isinstance(lengths, np.memmap)
    assert file.header.size == (tmp_path / "data/train.tok").stat().st_size


def test_what_a_tokenizer_loses_is_said(tmp_path, capsys):
    tokenizer = HuggingFace(*saved(tmp_path / "tokenizer", KINDS["word piece"]()))
    prepare(Story("The cat, zzz"), Shards(tmp_path / "shards", tokenizer), tmp_path / "data")
    output = [line for line in capsys.readouterr().err.splitlines() if "loses text" in line]
    assert len(output) == 3
    assert "corpus story, split 'valid'" in output[1]
    for part in ("2 of 4 tokens are unknown", "'the cat [UNK", "for 'The cat, zzz' at char"):
        assert part in output[1]


@pytest.mark.parametrize("tail", ["A", "é", "zzz", " "])
def test_a_loss_far_behind_is_said(tmp_path, capsys, tail):
    tokenizer = HuggingFace(*saved(tmp_path / "tokenizer", KINDS["word piece"]()))
    text = "the cat " * 1000 + f"the {tail} sat"
    prepare(Story(text), Shards(tmp_path / "shards", tokenizer), tmp_path / "data")
    output = [line for line in capsys.readouterr().err.splitlines() if "decoding" in line]
    assert len(output) == 3
    assert "at character 800" in output[1]


def test_nothing_is_said_of_a_tokenizer_that_keeps_all(tmp_path, capsys):
    tokenizer = HuggingFace(*saved(tmp_path / "tokenizer", KINDS["byte level"]()))
    prepare(Story(), Shards(tmp_path / "shards", tokenizer), tmp_path / "data")
    assert "loses" not in capsys.readouterr().err


def test_text_of_which_a_tokenizer_knows_nothing_is_refused(tmp_path):
    tokenizer = HuggingFace(*saved(tmp_path / "tokenizer", KINDS["word piece"]()))
    with pytest.raises(InputError, match=r"corpus none, split 'valid'.*knows none of its 3 tok"):
        prepare(Unknown(), Shards(tmp_path / "shards", tokenizer), tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


class Unknown(Story):
    title = "none"

    def splits(self):
        return {"train": ["the cat"], "valid": ["ЖЖ", "Щ Ы"], "test": ["the cat"]}
