"""What evaluation divides by: characters of the original text, whatever the tokenizer."""

from dataclasses import replace

import numpy as np
import pytest
from omegaconf import OmegaConf

from tcsm.config import build
from tcsm.data.header import LENGTHS
from tcsm.data.prepare import prepare
from tcsm.data.shards import Shards
from tcsm.data.source import source_of
from tcsm.data.tokenfile import Piece, describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Bytes, HuggingFace, Letters
from tcsm.errors import InputError
from tcsm.evaluation.bound import Exact
from tcsm.metrics.likelihood import Likelihood
from tcsm.runs.batches import open_split
from tests.tokenizer_kinds import KINDS, TEXT, saved

TOKENIZERS = {**KINDS, "bytes": None}


def configured(root, count, length=1):
    (root / "text.txt").write_text(TEXT * 30)
    normalize = {"_target_": "hydra.utils.get_object", "path": "tcsm.data.normalize.verbatim"}
    corpus = {"_target_": "tcsm.data.corpora.local.LocalText", "path": str(root / "text.txt")}
    return OmegaConf.create(
        {
            "corpus": {**corpus, "normalize": normalize},
            "data": {"root": str(root / "data"), "length": length},
            "evaluation": {"sequences": count},
        }
    )


def windows_of(cfg, tokenizer, split):
    metric = Likelihood(Exact(), cfg.evaluation.sequences, draws=1, batch=1)
    return metric._windows(open_split(cfg, tokenizer, split), cfg.data.length, tokenizer)


def made(root, kind):
    return Bytes() if kind == "bytes" else HuggingFace(*saved(root / "tokenizer", KINDS[kind]()))


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_windows_count_the_characters_of_the_text(tmp_path, kind):
    cfg, tokenizer = configured(tmp_path, 0), made(tmp_path, kind)
    corpus = build(cfg.corpus)
    prepare(corpus, Shards(tmp_path / "shards", tokenizer), cfg.data.root)
    for split in ("valid", "test"):
        text = "".join(corpus.splits()[split])
        size = len(text.encode()) if kind == "bytes" else len(text)
        whole = open_split(cfg, tokenizer, split).header.count
        for length in (1, 4):
            cfg.data.length, cfg.evaluation.sequences = length, whole // length
            windows, characters = windows_of(cfg, tokenizer, split)
            assert windows.shape == (whole // length, length)
            assert (characters.dtype, len(characters)) == (windows.dtype, len(windows))
            left = 0 if whole % length == 0 else 4 * int(characters.max())
            assert size - left <= characters.sum() <= size


def test_windows_without_a_character_are_refused(tmp_path):
    cfg, tokenizer = configured(tmp_path, 2), made(tmp_path, "byte level")
    header = replace(describe(tokenizer, "t", "test"), lengths=LENGTHS)
    header = replace(header, source=source_of(build(cfg.corpus)))
    path = tmp_path / "data/test.tok"
    write_tokens(path, [Piece(np.zeros(9, np.uint8), 0, np.zeros(9, np.uint16))], header)
    with pytest.raises(InputError, match=f"{path}: .*evaluation.sequences=2 .*no character"):
        windows_of(cfg, tokenizer, "test")


def test_a_file_that_does_not_say_what_it_is_made_from_is_refused(tmp_path):
    cfg, path = configured(tmp_path, 2), tmp_path / "data/test.tok"
    write_tokens(path, [Piece(np.zeros(9, np.uint8), 9)], describe(Letters(), "text.txt", "test"))
    assert open_tokens(path, Letters()).header.count == 9
    with pytest.raises(InputError, match=f"{path}: does not say what it was made from; run prep"):
        open_split(cfg, Letters(), "test")
