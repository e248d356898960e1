"""What evaluation divides by: characters of the original text, whatever the tokenizer."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from tcsm.config import Unbuilt, build
from tcsm.data.header import LENGTHS
from tcsm.data.prepare import prepare
from tcsm.data.shards import Shards
from tcsm.data.source import source_of
from tcsm.data.tokenfile import Piece, describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Bytes, HuggingFace, Letters
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws, Exact
from tcsm.metrics.likelihood import Likelihood
from tcsm.noise import Antithetic
from tcsm.runs.corpus import Text
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


def open_split(cfg, tokenizer, split):
    return Text(Path(cfg.data.root), tokenizer, Unbuilt(cfg.corpus)).open(split)


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
            rows = windows_of(cfg, tokenizer, split)
            windows, characters = rows.tokens, rows.characters
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


@dataclass(frozen=True)
class Noisy(Bound):
    """Sixteen nats a sequence and draws with an error of 4, the same for the same seed."""

    def __call__(self, model, x_1, ids, seed, draws=1):
        noise = Antithetic(seed, 0, ids, len(ids)).uniform("nats", draws) - 0.5
        nats = 16 + 4 * 12**0.5 * noise
        return Draws(nats, torch.full_like(nats, 0.5), nats / 8)

    def check(self, model):
        """Any model."""


def rounds_of(count=64, **fields):
    metric = Likelihood(Noisy(), count, draws=2, batch=5, **fields)
    ids, characters = torch.arange(count), torch.full((count,), 8)
    rounds = metric._rounds(lambda number: Noisy()(None, ids, ids, number, 2), characters)
    return metric, rounds, characters


def test_rounds_end_at_the_target():
    """An error of 4/√(2 R) nats of 64 sequences of 8 characters: 0.01 bits need 41 rounds."""
    metric, rounds, characters = rounds_of(target_se=0.01)
    actual = metric._error(rounds, characters)
    assert actual["target_reached"]
    assert actual["bpc_draws_se"] == pytest.approx(0.01, rel=0.02)
    assert len(rounds) == pytest.approx((4 / 8 / np.log(2) / 0.01) ** 2 / 64 / 2, rel=0.1)
    assert len({float(parts.nats[0, 0]) for parts in rounds}) == len(rounds)


def test_rounds_end_at_the_most_draws_and_the_record_says_so():
    metric, rounds, characters = rounds_of(target_se=1e-9, most_draws=7)
    assert len(rounds) == 3
    assert not metric._error(rounds, characters)["target_reached"]


def test_few_sequences_take_more_rounds_than_two():
    """An error from two rounds of one sequence would often be small by chance."""
    assert len(rounds_of(count=1, target_se=1e3)[1]) == 33
    assert len(rounds_of(count=64, target_se=1e3)[1]) == 2
    assert len(rounds_of(count=64)[1]) == 1


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan"), float("inf")])
def test_a_target_that_cannot_be_is_refused(target):
    with pytest.raises(InputError, match=rf"evaluation\.target_se .* found {target}"):
        rounds_of(target_se=target)
    with pytest.raises(InputError, match=r"evaluation\.most_draws .*at least 4.*found 3"):
        rounds_of(target_se=0.1, most_draws=3)
