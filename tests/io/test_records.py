import json
import math
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcsm.errors import InputError
from tcsm.io.records import Writer, read_json, read_lines, write_json

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


def test_a_record_is_sorted_and_complete_at_once(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    with closing(Writer(path)) as writer:
        writer.append({"step": 1, "loss": 0.1, "tokens": 8})
        assert path.read_text() == '{"loss": 0.1, "step": 1, "tokens": 8}\n'


@given(record=st.dictionaries(st.text(max_size=5), numbers, max_size=5))
def test_every_number_comes_back_exactly(tmp_path_factory, record):
    path = tmp_path_factory.mktemp("records") / "train.json"
    write_json(path, record)
    assert read_json(path, ()) == record
    assert [item.name for item in path.parent.iterdir()] == ["train.json"]


def test_equal_records_leave_equal_bytes(tmp_path: Path):
    write_json(tmp_path / "a.json", {"b": 1, "a": {"d": 2.5, "c": [1, 2]}})
    write_json(tmp_path / "b.json", {"a": {"c": [1, 2], "d": 2.5}, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_overflowed_costs_no_other(tmp_path: Path, capsys, value: float):
    path = tmp_path / "train.json"
    write_json(path, {"final": {"loss": [1.0, value, value]}, "seed": 0})
    assert read_json(path, ()) == {"final": {"loss": [1.0, None, None]}, "seed": 0}
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path}: final.loss[1] is {value} and 1 more" in line
    with closing(Writer(tmp_path / "m.jsonl")) as writer:
        writer.append({"step": 1, "loss": 2.0, "valid": value})
    assert read_lines(tmp_path / "m.jsonl", ()) == [{"step": 1, "loss": 2.0, "valid": None}]


def test_a_resumed_writer_forgets_later_and_torn_lines(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    with closing(Writer(path)) as writer:
        for step in (1, 2, 3):
            writer.append({"step": step, "loss": 1.0})
    with path.open("a") as file:
        file.write('{"step": 4, "lo')
    with closing(Writer(path, step=2)) as writer:
        writer.append({"step": 3, "loss": 5.0})
    assert [row["loss"] for row in read_lines(path, ("step", "loss"))] == [1.0, 1.0, 5.0]


def test_a_line_ends_at_a_line_feed_only(tmp_path: Path):
    path = tmp_path / "notes.jsonl"
    with closing(Writer(path)) as writer:
        writer.append({"step": 1, "text": "a\u2028b\x85c\nd\re"})
    assert [row["text"] for row in read_lines(path, ("text",))] == ["a\u2028b\x85c\nd\re"]


def test_a_file_that_is_not_there_is_empty(tmp_path: Path):
    assert read_json(tmp_path / "none.json", ("a",)) == {}
    assert read_lines(tmp_path / "none.jsonl", ("step", "loss")) == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ('{"step": 2, "loss": 1', r"m.jsonl:2: not valid JSON .*run the same command again"),
        ('{"step": 2}', r"m.jsonl:2: missing loss; .*keys step, loss"),
        ('{"step": 2, "loss": NaN}', r"m.jsonl:2: found NaN; .*finite"),
        ('{"step": 1, "loss": 1.0}', r"m.jsonl:2: step 1 after 1; steps increase"),
        ("[1, 2]", r"m.jsonl:2: found list, a record is an object"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, second: str, message: str):
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"step": 1, "loss": 2.0}) + "\n" + second + "\n")
    with pytest.raises(InputError, match=message):
        read_lines(path, ("step", "loss"))


def test_a_damaged_record_names_its_line(tmp_path: Path):
    path = tmp_path / "train.json"
    path.write_text('{\n "seed": 0,\n "steps" 3\n}')
    with pytest.raises(InputError, match=r"train.json:3: not valid JSON"):
        read_json(path, ())
