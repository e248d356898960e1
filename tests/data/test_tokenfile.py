"""Token files: equal bytes for equal input, whole or absent, and read only when sound."""

import errno
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tcsm.data.header import LENGTHS, read_header
from tcsm.data.tokenfile import Piece, describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Bytes, Letters
from tcsm.errors import InputError


class Many(Bytes):
    """Ids that need more than 16 bits."""

    name, size, separator, fingerprint = "many", 70_000, 0, "f" * 64


def piece(text, tokenizer):
    return Piece(tokenizer.encode(text), len(text))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "root" / "train.tok"
    pieces = [piece("the quick ", Letters()), piece("brown fox", Letters())]
    write_tokens(path, pieces, describe(Letters(), "fable", "train"))
    return path


def test_round_trip(path):
    file = open_tokens(path, Letters())
    assert Letters().decode(file.tokens) == "the quick brown fox"
    assert isinstance(file.tokens, np.memmap)
    assert not file.tokens.flags.writeable
    header = file.header
    assert (header.count, header.characters, header.dtype, header.vocabulary) == (
        19,
        19,
        "|u1",
        27,
    )
    assert (header.corpus, header.split, header.tokenizer) == ("fable", "train", "letters")
    assert header == read_header(path)


@given(st.lists(arrays.arrays(np.uint32, st.integers(1, 9), elements=st.integers(0, 69_999))))
def test_wide_ids_round_trip(tmp_path_factory, chunks):
    path = tmp_path_factory.mktemp("wide") / "train.tok"
    pieces = [Piece(np.array([7], np.uint32), 1), *(Piece(chunk, 2) for chunk in chunks)]
    header = write_tokens(path, pieces, describe(Many(), "random", "train"))
    tokens = open_tokens(path, Many()).tokens
    assert tokens.dtype == np.dtype("<u4")
    assert tokens.tolist() == [7, *(token for chunk in chunks for token in chunk.tolist())]
    assert header.characters == 1 + 2 * len(chunks)


def test_format_on_disk(path):
    content = path.read_bytes()
    size = int.from_bytes(content[8:12], "little")
    header = json.loads(content[12 : 12 + size])
    assert content[:8] == b"TCSMTOK1"
    assert 12 + size == 4096
    assert header == {
        "tokenizer": "letters",
        "fingerprint": Letters.fingerprint,
        "vocabulary": 27,
        "dtype": "|u1",
        "count": 19,
        "characters": 19,
        "sha256": read_header(path).sha256,
        "corpus": "fable",
        "split": "train",
    }
    assert content[4096:4099] == bytes([20, 8, 5])


def test_bytes_depend_on_the_tokens_alone(path):
    again = path.with_name("again.tok")
    write_tokens(
        again,
        [piece("the quick brown fox", Letters())],
        describe(Letters(), "fable", "train"),
    )
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kept", [4096 + 18, 4096])
def test_truncated_file_is_refused(path, kept):
    os.truncate(path, kept)
    with pytest.raises(InputError, match=rf"train.tok: {kept} bytes, wanted 4115"):
        open_tokens(path, Letters())


@pytest.mark.parametrize("kept", [0, 5, 12, 100, 4095])
def test_file_cut_in_its_header_is_refused(path, kept):
    os.truncate(path, kept)
    with pytest.raises(InputError, match="not a token file"):
        open_tokens(path, Letters())


@pytest.mark.parametrize("at", [0, 9, 4096, 4114])
def test_flipped_bit_is_refused(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"not a token file|damaged"):
        open_tokens(path, Letters())


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("In the beginning\n" * 1000)
    with pytest.raises(InputError, match="not a token file"):
        open_tokens(tmp_path / "text", Letters())
    with pytest.raises(InputError, match=r"nowhere: .*No such file.* data\.root"):
        open_tokens(tmp_path / "nowhere", Letters())


def test_damaged_header_is_refused(path):
    path.write_bytes(path.read_bytes().replace(b'"|u1"', b'"|u3"'))
    with pytest.raises(InputError, match="not a token file"):
        open_tokens(path, Letters())


def test_another_tokenizer_is_refused(path):
    with pytest.raises(InputError, match=r"written by the tokenizer 'letters'.*wanted 'bytes'"):
        open_tokens(path, Bytes())


def test_tokens_of_another_folder_may_be_named(path):
    with pytest.raises(InputError, match=r"data\.root"):
        open_tokens(path, Bytes())
    with pytest.raises(InputError, match=r"run collect again$"):
        open_tokens(path, Bytes(), "collect")


def test_same_name_with_other_definition_is_refused(path):
    impostor = Letters()
    impostor.fingerprint = "0" * 64
    with pytest.raises(InputError, match="written by the tokenizer 'letters'"):
        open_tokens(path, impostor)


def break_off(error):
    yield piece("in the beginning", Letters())
    raise error


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (OSError(errno.ENOSPC, "full"), InputError, "valid.tok: no space left.*bytes are needed"),
        (OSError(errno.EIO, "broken disk"), InputError, "valid.tok: cannot be written: broken"),
        (KeyboardInterrupt(), KeyboardInterrupt, None),
    ],
)
def test_nothing_half_written_remains(path, error, raised, message):
    target = path.with_name("valid.tok")
    with pytest.raises(raised, match=message):
        write_tokens(target, break_off(error), describe(Letters(), "fable", "valid"))
    assert [file.name for file in path.parent.iterdir()] == ["train.tok"]


def test_failed_rewrite_leaves_the_old_file(path):
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_tokens(path, break_off(KeyboardInterrupt()), describe(Letters(), "fable", "train"))
    assert path.read_bytes() == before


def test_unusable_tokens_are_refused(tmp_path):
    header = describe(Letters(), "fable", "test")
    with pytest.raises(InputError, match="token 27 is outside the 27"):
        write_tokens(tmp_path / "test.tok", [Piece(np.array([3, 27], np.uint8), 2)], header)
    with pytest.raises(InputError, match="corpus fable: no text in the split 'test'"):
        write_tokens(tmp_path / "test.tok", [], header)
    assert not list(tmp_path.iterdir())


def test_a_long_source_takes_more_pages(tmp_path):
    path = tmp_path / "train.tok"
    source = {"parts.train": "x" * 9000, "path": "a"}
    made = replace(describe(Letters(), "fable", "train"), source=source)
    header = write_tokens(path, [piece("the fox", Letters())], made)
    assert header.offset == 3 * 4096
    assert read_header(path).source == source
    assert Letters().decode(open_tokens(path, Letters()).tokens) == "the fox"
    os.truncate(path, 2 * 4096)
    with pytest.raises(InputError, match="not a token file, or cut in its header"):
        open_tokens(path, Letters())


@pytest.fixture
def counted(tmp_path):
    """A file with the characters of each token."""
    path = tmp_path / "counted.tok"
    made = replace(describe(Letters(), "fable", "train"), lengths=LENGTHS)
    tokens = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    counts = np.array([[9, 0, 1], [65_535, 2, 3]], np.uint16)
    pieces = [
        Piece(ids, int(sizes.sum()), sizes) for ids, sizes in zip(tokens, counts, strict=True)
    ]
    write_tokens(path, pieces, made)
    return path


def test_characters_of_each_token_come_back(counted):
    file = open_tokens(counted, Letters())
    assert file.tokens.tolist() == [1, 2, 3, 4, 5, 6]
    assert file.lengths().tolist() == [9, 0, 1, 65_535, 2, 3]
    assert [path.name for path in counted.parent.iterdir()] == [counted.name]


def test_damaged_characters_are_refused(counted):
    content = bytearray(counted.read_bytes())
    content[-1] ^= 1
    counted.write_bytes(content)
    with pytest.raises(InputError, match=r"counted.tok: damaged.*run prepare again"):
        open_tokens(counted, Letters()).lengths()
    os.truncate(counted, len(content) - 1)
    with pytest.raises(InputError, match=rf"{len(content) - 1} bytes, wanted {len(content)}"):
        open_tokens(counted, Letters())
