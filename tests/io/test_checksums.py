"""A record that was altered is told from one that was laid out anew."""

import json
from pathlib import Path

import pytest

from tcsm.errors import InputError
from tcsm.io.records import read_json, write_json

RECORD = {"loss": 0.125, "steps": 12, "texts": ["ab", "\u2028"], "at": {1: [1e-7, None]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    write_json(tmp_path / "train.json", RECORD, ("metrics.jsonl",))
    return tmp_path / "train.json"


def test_an_intact_record_comes_back_without_its_checksums(path: Path) -> None:
    assert read_json(path, ("loss",)) == {**RECORD, "at": {"1": [1e-7, None]}}


def test_another_layout_is_no_other_record(path: Path) -> None:
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert read_json(path, ())["steps"] == 12


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.125", "0.126"), ("12,", "13,"), ("steps", "stepz"), ("null", "true"), ("1e-07", "1e-17")],
)
def test_another_value_is_refused(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=rf"{path}: altered, .* delete {path} and run the same"):
        read_json(path, ())


def test_a_record_without_a_checksum_is_refused(path: Path) -> None:
    path.write_text(json.dumps(RECORD))
    with pytest.raises(InputError, match="altered"):
        read_json(path, ())


@pytest.mark.parametrize("state", ["altered", "not found"])
def test_a_file_beside_it_is_held_against_the_record(path: Path, state: str) -> None:
    file = path.with_name("metrics.jsonl")
    file.write_text('{"step": 2}\n') if state == "altered" else file.unlink()
    with pytest.raises(InputError, match=f"{file}: {state}, train.json .* delete {path} and"):
        read_json(path, ())


def test_the_file_to_delete_is_the_one_that_the_workflow_waits_for(path: Path) -> None:
    path.write_text(path.read_text().replace("12", "13"))
    with pytest.raises(InputError, match=r"delete evaluate\.json and run"):
        read_json(path, (), Path("evaluate.json"))


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"loss", b"lo\xffs"))
    with pytest.raises(InputError, match=rf"train.json: not UTF-8 at byte \d+; delete {path}"):
        read_json(path, ())


def test_a_record_that_is_written_again_has_a_new_checksum(path: Path) -> None:
    write_json(path, {**json.loads(path.read_text()), "loss": 0.5})
    assert read_json(path, ())["loss"] == 0.5
