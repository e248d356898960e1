"""A file of preferences from the command line: a folder of pairs that a training reads."""

import json

import pytest
import torch

from tcsm import config
from tcsm.data.buffer import read_buffer
from tests.stages.house import LENGTH

MODEL = "kjv/distribution"
LINES = [
    {"prompt": "the ", "chosen": "heron", "rejected": "trout"},
    {"chosen": "a rather long text than a short one", "rejected": "short"},
    {"chosen": "it shines", "rejected": "it rains"},
]


def write(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"preferences={path}"


def test_a_file_becomes_pairs(house, tmp_path):
    done = house.run("pair", write(tmp_path / "p.jsonl", *LINES), name="pairs")
    assert done.code == 0
    assert done.err == [
        f"tcsm: pair: 1 of 6 texts were longer than data.length and were cut to {LENGTH} tokens"
    ]
    folder = house.root / "pairs"
    found = json.loads((folder / "pair.json").read_text())
    assert (found["stage"], found["count"], found["length"], found["cut"]) == (
        "pair",
        3,
        LENGTH,
        1,
    )
    tokenizer = config.build(house.config(MODEL).tokenizer)
    buffer = read_buffer(folder, tokenizer)
    texts = [[tokenizer.decode(x.numpy()) for x in row.view(2, LENGTH)] for row in buffer.tokens]
    assert texts[0] == ["the heron".ljust(LENGTH), "the trout".ljust(LENGTH)]
    assert texts[1] == ["a rather long text than a short one"[:LENGTH], "short".ljust(LENGTH)]
    assert buffer.reward.eq(0).all()
    assert (folder / "config.yaml").is_file()
    assert json.loads((folder / "pair.telemetry.json").read_text())["cpu_seconds"] > 0


def test_nothing_is_written_for_a_file_with_one_bad_line(house, tmp_path):
    for line, words in (({"chosen": "a"}, "rejected must be a text"), ("no", "found str")):
        done = house.run("pair", write(tmp_path / "p.jsonl", *LINES, line), name="bad")
        assert done.code == 2
        assert done.err[0].startswith(f"tcsm: error: {tmp_path / 'p.jsonl'}:4: {words}")
        assert not (house.root / "bad").exists()
    assert house.run("pair", name="bad").err[0].startswith("tcsm: error: preferences: found null")


@pytest.mark.parametrize("loss", ["paired", "unpaired", "winners"])
def test_a_training_from_pairs_moves_away_from_its_reference(house, trained, tmp_path, loss):
    run = trained(MODEL)
    pairs = house.good("pair", write(tmp_path / "p.jsonl", *LINES), name=f"for_{loss}")
    given = [f"objective=preference_{loss}", "feed=pair_file", f"collected={pairs}"]
    both = [f"initial={run}", f"reference={run}"]
    folder = house.good("train", *given, *both, name=loss)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all(torch.tensor(row["loss"]).isfinite() for row in rows)
    assert (folder / "weights.safetensors").read_bytes() != (
        run / "weights.safetensors"
    ).read_bytes()
    refused = house.run("train", *given, both[0], name="lost")
    assert refused.err[-1].startswith("tcsm: error: reference: found null")
    refused = house.run("train", *given, *both, "feed=corpus", name="lost")
    assert "a pair is a row of 32 tokens, twice data.length, found 16" in refused.err[-1]
