"""The comparison of results with kept numbers finds what moved, and only that."""

import json

import torch
from safetensors.torch import save_file

from tests.golden.frozen import differences, results_of


def _results(folder, value=1.5, rows=(0.5, 0.25), scale=1.0, **more):
    run = folder / "kjv" / "seed-0"
    run.mkdir(parents=True)
    record = {"bpc": value, "nats": [value] * 20, "record_sha256": str(value), **more}
    (run / "evaluate.json").write_text(json.dumps(record))
    (run / "metrics.jsonl").write_text("".join(json.dumps({"loss": r}) + "\n" for r in rows))
    (run / "evaluate.telemetry.json").write_text(json.dumps({"seconds": value}))
    save_file({"w": scale * torch.ones(3)}, run / "weights.safetensors")
    return results_of(folder)


def test_equal_results_and_new_fields_are_no_difference(tmp_path):
    kept = _results(tmp_path / "a")
    assert not list(differences(kept, _results(tmp_path / "b", data_length=64)))


def test_every_kind_of_number_is_compared(tmp_path):
    kept = _results(tmp_path / "a")
    actual = list(differences(kept, _results(tmp_path / "b", 1.25, (0.75, 0.25), 2.0)))
    names = {line.split(": ")[1] for line in actual}
    assert names == {"bpc", "nats", "loss[:]", "w"}


def test_a_file_that_is_gone_or_new_is_said(tmp_path):
    kept = _results(tmp_path / "a")
    (tmp_path / "a" / "kjv" / "seed-0" / "evaluate.json").rename(tmp_path / "a" / "samples.json")
    actual = sorted(differences(kept, results_of(tmp_path / "a")))
    assert actual == ["kjv/seed-0/evaluate.json: missing", "samples.json: new"]
