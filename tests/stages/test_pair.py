"""A file of preferences from the command line: a folder of pairs that a training reads."""

import json

import pytest
import torch

from tcsm import config
from tcsm.data.buffer import read_buffer
from tcsm.process.pairs import SharedCorruption
from tests.stages.house import LENGTH

pytestmark = pytest.mark.slow

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
    done = house.run("collect", write(tmp_path / "p.jsonl", *LINES), name="pairs")
    assert done.code == 0
    longer, shorter = done.err
    assert all(word in longer for word in ("1 of 6", "data.length", str(LENGTH)))
    assert all(word in shorter for word in ("5 of 6", "data.length", str(LENGTH)))
    folder = house.root / "pairs"
    actual = json.loads((folder / "collect.json").read_text())
    assert (actual["stage"], actual["count"], actual["length"]) == ("collect", 3, LENGTH)
    assert (actual["cut"], actual["padded"]) == (1, 5)
    tokenizer = config.build(house.config(MODEL).tokenizer)
    buffer = read_buffer(folder, tokenizer)
    texts = [[tokenizer.decode(x.numpy()) for x in row.view(2, LENGTH)] for row in buffer.tokens]
    assert texts[0] == ["the heron".ljust(LENGTH), "the trout".ljust(LENGTH)]
    assert texts[1] == ["a rather long text than a short one"[:LENGTH], "short".ljust(LENGTH)]
    assert buffer.lengths.tolist() == [[9, 9], [LENGTH, 5], [9, 8]]
    assert buffer.reward.eq(0).all()
    assert (folder / "config.yaml").is_file()
    assert json.loads((folder / "collect.telemetry.json").read_text())["cpu_seconds"] > 0


def test_nothing_is_written_for_a_file_with_one_bad_line(house, tmp_path):
    for line, words in (({"chosen": "a"}, "rejected must be a text"), ("no", "found str")):
        done = house.run("collect", write(tmp_path / "p.jsonl", *LINES, line), name="bad")
        assert done.code == 2
        assert done.err[0].startswith(f"tcsm: error: {tmp_path / 'p.jsonl'}:4: {words}")
        assert not (house.root / "bad").exists()


def test_a_collection_is_of_one_thing(house, tmp_path):
    given = write(tmp_path / "p.jsonl", *LINES)
    for more in ([], [given, "collecting.corpus=true"], [given, "reference=gone"]):
        (line,) = house.run("collect", *more, name="bad").err
        assert line.startswith("tcsm: error: reference: found ")
        assert all(word.partition("=")[2] in line for word in more)
        assert "preferences=FILE" in line


def test_a_training_neither_noises_nor_learns_padding(house, trained, tmp_path, monkeypatch):
    """At every step prompts and padding are what they were, and no noised position is either."""
    run = trained(MODEL)
    pairs = house.good("collect", write(tmp_path / "p.jsonl", LINES[0], LINES[2]), name="blank")
    seen = []
    call = SharedCorruption.__call__

    def noted(self, winner, loser, noise, real=None):
        drawn = call(self, winner, loser, noise, real)
        held = ~(real[0] | real[1])
        texts = zip(drawn, (winner, loser), strict=True)
        seen.append([(one.x_t == x_1)[held] for one, x_1 in texts])
        assert not any((one.noised & ~text).any() for one, text in zip(drawn, real, strict=True))
        return drawn

    monkeypatch.setattr(SharedCorruption, "__call__", noted)
    given = ["objective=preference_paired", "batches=pair_file", f"collected={pairs}"]
    house.good("train", *given, f"initial={run}", f"reference={run}", name="blanked")
    assert len(seen) == 6
    assert all(part.all() and len(part) for pair in seen for part in pair)


@pytest.mark.parametrize("loss", ["paired", "unpaired", "winners"])
def test_a_training_from_pairs_moves_away_from_its_reference(house, trained, tmp_path, loss):
    run = trained(MODEL)
    pairs = house.good("collect", write(tmp_path / "p.jsonl", *LINES), name=f"for_{loss}")
    given = [f"objective=preference_{loss}", "batches=pair_file", f"collected={pairs}"]
    both = [f"initial={run}", f"reference={run}"]
    folder = house.good("train", *given, *both, name=loss)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all(torch.tensor(row["loss"]).isfinite() for row in rows)
    assert (folder / "weights.safetensors").read_bytes() != (
        run / "weights.safetensors"
    ).read_bytes()
    refused = house.run("train", *given, both[0], name="lost")
    assert refused.err[-1].startswith("tcsm: error: reference: found null")


def test_pairs_and_texts_are_not_mistaken(house, trained, tmp_path):
    run = trained(MODEL)
    pairs = house.good("collect", write(tmp_path / "p.jsonl", *LINES), name="pairs")
    given = ["objective=preference_paired", "batches=pair_file", f"collected={pairs}"]
    both = [f"initial={run}", f"reference={run}"]
    texts = ("objective=distribution", "reference=null")
    refused = house.run("train", *given, *both, *texts, name="lost")
    assert "batches: PairFile gives pairs, but objective DistributionMatching" in refused.err[-1]
    refused = house.run("train", *given, *both, "batches=corpus", name="lost")
    assert "batches: Corpus gives texts, but objective Paired" in refused.err[-1]
