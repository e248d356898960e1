"""Preferences in a file: what a line becomes, and how one that is no good is told."""

import json
from dataclasses import replace

import pytest
import torch

from tcsm.data.buffer import read_buffer, unweighted, write_buffer
from tcsm.data.preferences import read_preferences
from tcsm.data.tokenizers import Bytes, Letters
from tcsm.errors import InputError

GOOD = {"chosen": "a b", "rejected": "c"}


def read(tmp_path, *lines, tokenizer=None, length=4):
    path = tmp_path / "pairs.jsonl"
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text)
    return read_preferences(path, tokenizer or Letters(), length)


def test_a_line_is_a_winner_and_a_loser(tmp_path):
    actual = read(tmp_path, GOOD, {"prompt": "xy", **GOOD})
    assert actual.rows.tolist() == [[1, 0, 2, 0, 3, 0, 0, 0], [24, 25, 1, 0, 24, 25, 3, 0]]
    assert actual.lengths.tolist() == [[3, 1], [4, 3]]  # a blank in a text is none of the padding
    assert actual.cut == 1


def test_a_prompt_is_a_condition_of_both(tmp_path):
    actual = read(tmp_path, GOOD, {"prompt": "xy", **GOOD})
    assert actual.prompts.tolist() == [[0, 0], [2, 2]]
    assert read(tmp_path, GOOD).prompts is None
    buffer = replace(
        unweighted(actual.rows, torch.zeros(2).double()),
        lengths=actual.lengths,
        prompts=actual.prompts,
    )
    write_buffer(tmp_path / "c", buffer, Letters(), "pairs")
    real = read_buffer(tmp_path / "c", Letters()).real(torch.tensor([1, 0]))
    assert real.int().tolist() == [[0, 0, 1, 1, 0, 0, 1, 0], [1, 1, 1, 0, 1, 0, 0, 0]]
    with pytest.raises(InputError, match=r"pairs\.jsonl:1: both texts are the same"):
        read(tmp_path, {"prompt": "xyxy", **GOOD})


def test_only_a_line_feed_ends_a_line(tmp_path):
    line = {"chosen": "a\u2028b\nc", "rejected": "d"}
    content = json.dumps(line, ensure_ascii=False) + "\n"
    actual = read(tmp_path, content, tokenizer=Bytes(), length=7)
    assert bytes(actual.rows[0].tolist()) == "a\u2028b\nc".encode() + b"d\n\n\n\n\n\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", r"not valid JSON \(.* at character 1\)"),
        ("", r"not valid JSON"),
        ('["a", "b"]', "found list, wanted an object with prompt, chosen, rejected"),
        ({"chosen": "a"}, "rejected must be a text, found null"),
        ({"rejected": "a"}, "chosen must be a text, found null"),
        ({**GOOD, "chosen": 3}, "chosen must be a text, found 3"),
        ({**GOOD, "chosen": " "}, 'chosen must be a text, found " "'),
        ({**GOOD, "prompt": None}, "prompt must be a text, found null"),
        ({**GOOD, "promt": "a"}, r"'promt' is no key of a pair; did you mean prompt\?"),
        ({"chosen": "abcd", "rejected": "abcd"}, "both texts are the same in their first 4"),
        ({"chosen": "abcde", "rejected": "abcdf"}, "both texts are the same in their first 4"),
        ({**GOOD, "rejected": "C"}, "the tokenizer 'letters' has no symbol 'C'"),
    ],
)
def test_a_line_that_is_no_pair_is_told_by_its_number(tmp_path, line, words):
    with pytest.raises(InputError, match=rf"pairs\.jsonl:2: .*{words}"):
        read(tmp_path, GOOD, line, GOOD)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match=r"gone: cannot be read: No such file.* \(preferences\)"):
        read_preferences(tmp_path / "gone", Letters(), 4)
    (tmp_path / "odd").write_bytes(json.dumps(GOOD).encode() + b"\n\xff\n")
    with pytest.raises(InputError, match=r"odd:2: not UTF-8"):
        read_preferences(tmp_path / "odd", Letters(), 4)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(InputError, match=r"empty: found no line"):
        read_preferences(tmp_path / "empty", Letters(), 4)


@pytest.mark.parametrize("tokenizer", [Letters(), Bytes()])
@pytest.mark.parametrize("key", ["prompt", "chosen", "rejected"])
def test_half_a_surrogate_pair_is_named_with_any_tokenizer(tmp_path, tokenizer, key):
    with pytest.raises(InputError, match=rf"pairs\.jsonl:2: {key}: character 1 is \\ud83d"):
        read(tmp_path, GOOD, {**GOOD, key: "a\ud83d"}, tokenizer=tokenizer)


def test_advice_names_what_the_verb_reads(tmp_path):
    with pytest.raises(InputError, match=r"no symbol 'C'.*tokenizer=bytes") as caught:
        read(tmp_path, {**GOOD, "chosen": "C"})
    assert "normalize" not in str(caught.value)


def test_marks_windows_lines_and_blank_ends_are_no_data(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n")
    assert read_preferences(path, Letters(), 4).rows.tolist() == [[1, 0, 2, 0, 3, 0, 0, 0]]
