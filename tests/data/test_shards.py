"""Shards: the same bytes whatever the number of processes, and nothing done twice."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tcsm.data.corpora.base import Corpus
from tcsm.data.header import LENGTHS
from tcsm.data.prepare import prepare
from tcsm.data.shards import Shards, pieces
from tcsm.data.source import source_of
from tcsm.data.tokenfile import describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Bytes, HuggingFace, Letters
from tcsm.errors import InputError
from tests.tokenizer_kinds import saved, word_piece

TEXTS = ["the fox", "", "the crow", "cheese", "a", "tree and then"]


class Fable(Corpus):
    title = "fable"

    def splits(self):
        return {"train": iter(TEXTS), "valid": ["cheese"], "test": ["a tree"]}


class Counted(Letters):
    """Letters that count the texts they encode."""

    def __init__(self, stop=None):
        super().__init__()
        self.encoded, self.stop = [], stop

    def encode(self, text):
        if text == self.stop:
            raise KeyboardInterrupt
        self.encoded.append(text)
        return super().encode(text)


def files(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def serial(tmp_path):
    """The train split as one stream, without shards."""
    header = replace(describe(Letters(), "fable", "train"), source=source_of(Fable()))
    write_tokens(tmp_path / "serial.tok", pieces(TEXTS, Letters(), "fable"), header)
    return (tmp_path / "serial.tok").read_bytes()


SEVERAL = pytest.param(2, 8, marks=pytest.mark.slow)  # processes, some shards each


@pytest.mark.parametrize(("workers", "characters"), [(1, 1), (1, 8), (1, 100), SEVERAL])
def test_the_bytes_are_those_of_one_stream(tmp_path, serial, workers, characters):
    shards = Shards(tmp_path / "shards", Letters(), workers, characters)
    prepare(Fable(), shards, tmp_path / "data")
    assert (tmp_path / "data/train.tok").read_bytes() == serial
    assert not (tmp_path / "shards").exists()


def test_a_stopped_run_goes_on_behind_its_last_shard(tmp_path, serial):
    tokenizer = Counted(stop="a")
    shards = Shards(tmp_path / "shards", tokenizer, characters=8)
    with pytest.raises(KeyboardInterrupt):
        prepare(Fable(), shards, tmp_path / "data")
    assert tokenizer.encoded == ["the fox", "", "the crow", "", "cheese"]
    assert not (tmp_path / "data/train.tok").exists()
    again = Counted()
    prepare(Fable(), Shards(tmp_path / "shards", again, characters=8), tmp_path / "data")
    assert again.encoded == ["", "cheese", "a", "tree and then", "cheese", "a tree"]
    assert (tmp_path / "data/train.tok").read_bytes() == serial


def test_a_damaged_shard_and_those_of_another_text_are_not_used(tmp_path, serial):
    shards = Shards(tmp_path / "shards", Counted(stop="a"), characters=8)
    with pytest.raises(KeyboardInterrupt):
        prepare(Fable(), shards, tmp_path / "data")
    (shard,) = (tmp_path / "shards").glob("*.tok")
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    prepare(Fable(), Shards(tmp_path / "shards", Letters(), characters=8), tmp_path / "data")
    assert (tmp_path / "data/train.tok").read_bytes() == serial


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_bad_symbol_is_told_with_its_corpus(tmp_path, workers):
    class Bad(Fable):
        def splits(self):
            return {"train": [*TEXTS, "No!"]}

    with pytest.raises(InputError, match="corpus fable: the tokenizer 'letters' has no symbol"):
        prepare(Bad(), Shards(tmp_path / "shards", Letters(), workers, 8), tmp_path / "data")
    assert files(tmp_path / "data") == {}


def test_advice_is_given_where_it_helps(tmp_path):
    with pytest.raises(InputError, match=r"tokenizer=bytes"):
        list(pieces(["No!"], Letters(), "fable"))
    with pytest.raises(InputError, match=r"corpus fable: .*surrogate") as caught:
        list(pieces(["\ud800"], Bytes(), "fable"))
    assert "text8" not in str(caught.value)


def test_too_many_processes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"TCSM_WORKERS .* 1000000"):
        Shards(tmp_path, Letters(), 1_000_000)


@pytest.mark.slow
def test_no_room_is_told_and_the_shards_that_are_whole_stay(tmp_path):
    code = """if True:
        import resource, signal, sys
        from pathlib import Path
        from tests.data.test_shards import Fable
        from tcsm.data.prepare import prepare
        from tcsm.data.shards import Shards
        from tcsm.data.tokenizers import Letters
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096 + 30, resource.RLIM_INFINITY))
        prepare(Fable(), Shards(Path("shards"), Letters(), characters=8), "data")
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "data/unfinished/train.tok: cannot be written: File too large" in done.stderr
    assert files(tmp_path / "data") == {}
    for shard in (tmp_path / "shards").iterdir():
        assert open_tokens(shard, Letters()).header.corpus == "fable"


def test_shards_of_a_tokenizer_that_differs_in_its_normalizer_are_not_used(tmp_path):
    text = "The cat sat. The end"
    actual = {}
    for lowercase in (True, False):
        made = word_piece(lowercase)
        tokenizer = HuggingFace(*saved(tmp_path / "same", made))
        header = replace(describe(tokenizer, "fable", "train"), lengths=LENGTHS)
        shards = Shards(tmp_path / "shards", tokenizer)
        ids = [piece.tokens.tolist() for piece in shards.pieces([text], header)]
        assert ids == [made.encode(text, add_special_tokens=False).ids]
        actual[lowercase] = ids
    assert actual[True] != actual[False]
    assert len(list((tmp_path / "shards").iterdir())) == 2
