"""Buffers come back as they were written, and nothing else does."""

import errno
import json
import math
import os
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from tcsm.data.buffer import Buffer, read_buffer, unweighted, write_buffer
from tcsm.data.tokenizers import Bytes, Letters
from tcsm.errors import InputError
from tcsm.io.layout import REWARDS, TOKENS

LETTERS = Letters()


def random_buffer(count=7, length=5, seed=0):
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(LETTERS.size, (count, length), generator=draw)
    reward, log_weight = torch.randn(2, count, generator=draw, dtype=torch.float64)
    return Buffer(tokens, reward, log_weight)


@pytest.fixture
def folder(tmp_path):
    write_buffer(tmp_path, random_buffer(), LETTERS, "toy/drawn")
    return tmp_path


def refused(folder, tokenizer=LETTERS):
    with pytest.raises(InputError) as messages:
        read_buffer(folder, tokenizer)
    message = str(messages.value)
    assert "\n" not in message
    assert str(folder) in message
    return message.removeprefix(str(folder))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_what_is_written_is_read(tmp_path_factory, count, length, seed):
    folder, buffer = tmp_path_factory.mktemp("buffer"), random_buffer(count, length, seed)
    write_buffer(folder, buffer, LETTERS, "toy/drawn")
    actual = read_buffer(folder, LETTERS)
    assert len(actual) == count
    for name in ("tokens", "reward", "log_weight"):
        assert getattr(actual, name).equal(getattr(buffer, name))
        assert getattr(actual, name).dtype == getattr(buffer, name).dtype


def test_padding_is_written_and_read_and_minded(tmp_path):
    """Two texts a row, of 3 tokens at most; a buffer without lengths has full rows."""
    plain = random_buffer(2, 6)
    lengths = torch.tensor([[3, 1], [2, 3]])
    digest = write_buffer(tmp_path, plain, LETTERS, "toy/drawn")
    actual = read_buffer(tmp_path, LETTERS)
    assert (actual.lengths, actual.real(torch.arange(2))) == (None, None)
    assert digest != write_buffer(tmp_path, replace(plain, lengths=lengths), LETTERS, "toy/drawn")
    actual = read_buffer(tmp_path, LETTERS)
    assert actual.lengths.equal(lengths)
    assert actual.real(torch.tensor([1, 0])).int().tolist() == [
        [1, 1, 0, 1, 1, 1],
        [1, 1, 1, 1, 0, 0],
    ]


def test_the_digest_minds_every_part(tmp_path):
    buffer = random_buffer()
    digests = {
        write_buffer(tmp_path, other, LETTERS, "toy/drawn")
        for other in (
            buffer,
            Buffer(buffer.tokens.roll(1), buffer.reward, buffer.log_weight),
            Buffer(buffer.tokens, buffer.reward + 1e-12, buffer.log_weight),
            Buffer(buffer.tokens, buffer.reward, buffer.log_weight + 1e-12),
            Buffer(buffer.tokens, buffer.log_weight, buffer.reward),
        )
    }
    assert len(digests) == 5
    assert write_buffer(tmp_path, buffer, LETTERS, "toy/drawn") in digests


def test_a_buffer_of_the_base_model_itself_weighs_nothing():
    actual = unweighted(torch.zeros(3, 2, dtype=torch.int64), torch.ones(3, dtype=torch.float64))
    assert actual.log_weight.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", [TOKENS, REWARDS])
def test_a_missing_file_is_told(folder, name):
    (folder / name).unlink()
    message = refused(folder)
    assert message.startswith(f"/{name}: cannot be read")
    assert "run collect" in message


@pytest.mark.parametrize("name", [TOKENS, REWARDS])
def test_no_flipped_bit_goes_unnoticed(folder, name):
    whole = (folder / name).read_bytes()
    for at in (4, 20, len(whole) // 2, len(whole) - 1):
        broken = bytearray(whole)
        broken[at] ^= 1
        (folder / name).write_bytes(broken)
        assert refused(folder).startswith(f"/{name}")
    (folder / name).write_bytes(whole[:-1])
    assert refused(folder).startswith(f"/{name}")


def test_files_of_two_collections_do_not_pass_for_one(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_buffer(other, random_buffer(seed=1), LETTERS, "toy/drawn")
    (folder / TOKENS).write_bytes((other / TOKENS).read_bytes())
    assert f"not of the {TOKENS} beside it" in refused(folder)


def test_another_tokenizer_is_refused(folder):
    assert "wanted 'bytes'" in refused(folder, Bytes())


@pytest.mark.parametrize("facts", [None, {}, {"tcsm": "x"}, {"tcsm": "7"}, {"tcsm": "{}"}])
def test_weights_without_their_facts_are_refused(folder, facts):
    zeros = {name: torch.zeros(7, dtype=torch.float64) for name in ("reward", "log_weight")}
    (folder / REWARDS).write_bytes(save(zeros, facts))
    assert refused(folder).startswith(f"/{REWARDS}")


def test_weights_that_lack_a_part_are_refused(folder):
    (folder / REWARDS).write_bytes(save({"reward": torch.zeros(7)}, {"tcsm": json.dumps({})}))
    assert refused(folder).startswith(f"/{REWARDS}: cannot be read")


def test_a_full_disk_leaves_what_was_there(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(source, target, move=os.replace):
        if target.name == REWARDS:
            raise OSError(28, "No space left on device")
        move(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match=f"{REWARDS}: cannot be written: No space left"):
        write_buffer(folder, random_buffer(), LETTERS, "toy/drawn")
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert math.isfinite(float(read_buffer(folder, LETTERS).reward.sum()))


def test_a_full_disk_is_that_of_out(tmp_path, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"sequences\.tok: no space left .* set out to"):
        write_buffer(tmp_path, random_buffer(), LETTERS, "toy/drawn")
