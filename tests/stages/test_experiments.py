"""Every experiment that reads no other run goes through all stages; its records add up."""

import json
import math

import numpy as np
import pytest

from tcsm.config import Unbuilt
from tcsm.data.tokenizers import Letters
from tcsm.nets.transformer import Transformer
from tcsm.runs.models import build_model, unwrap
from tests.stages.house import EXPERIMENTS, LENGTH, finite, likelihood_of

ALPHABET = set(" abcdefghijklmnopqrstuvwxyz")
TOKENS = 4 * LENGTH  # of a batch


def _record(folder, name):
    return json.loads((folder / name).read_text())


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_goes_through_all_stages(shared, finished, experiment):
    folder, cfg = finished(experiment), shared.config(experiment)
    require_model(cfg)
    require_files(shared, folder, experiment)
    for name, stage in (("train", "train"), ("evaluate", "evaluate"), ("samples", "sample")):
        found = _record(folder, f"{name}.json")
        assert finite(found)
        assert (found["stage"], found["experiment"], found["seed"]) == (stage, experiment, 0)
    require_training(folder)
    require_evaluation(likelihood_of(folder), cfg)
    require_samples(_record(folder, "samples.json"), cfg)


def require_model(cfg):
    """The network fits the tokenizer."""
    net = unwrap(build_model(Unbuilt(cfg.model), Letters()))
    assert isinstance(net, Transformer)
    assert net.vocabulary == 27
    assert net.states == 27 + cfg.model.net.extra


def require_files(shared, folder, experiment):
    """The folder is complete, and the scratch gone."""
    assert {path.name for path in folder.iterdir()} == {
        "config.yaml",
        "weights.safetensors",
        "metrics.jsonl",
        "telemetry.jsonl",
        "train.json",
        "evaluate.json",
        "samples.json",
        *(f"{stage}.telemetry.json" for stage in ("train", "evaluate", "sample")),
    }
    assert not (shared.root / "scratch/trained" / experiment).exists()
    assert not shared.unfinished()


def require_training(folder):
    record = _record(folder, "train.json")
    assert (record["steps"], record["tokens"]) == (6, 6 * TOKENS)
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["tokens"]) for row in found] == [(n, n * TOKENS) for n in (2, 4, 6)]
    assert record["final"] == found[-1]
    assert finite(found)
    assert all(row["grad_norm"] > 0 for row in found)
    assert "valid_bits_per_token" in found[-1]


def require_evaluation(record, cfg):
    assert record["bound"] == cfg.bound._target_.rpartition(".")[2].lower()
    assert (record["epsilon"] is not None) == (record["bound"] == "time")
    assert set(record["splits"]) == {"valid", "test"}
    for found in record["splits"].values():
        nats, characters = np.array(found["nats"]), np.array(found["chars"])
        assert len(nats) == len(characters) == found["sequences"] == 8
        assert found["tokens"] == found["characters"] == characters.sum() == 8 * LENGTH
        assert found["bpc"] == pytest.approx(nats.sum() / characters.sum() / math.log(2))
        assert found["ppl_token"] == pytest.approx(math.exp(nats.sum() / found["tokens"]))
        assert found["bpc_se"] > 0
        assert found["draws"] == (1 if record["bound"] == "exact" else 2)


def require_samples(record, cfg):
    causal = cfg.model.net.causal
    assert [run["steps"] for run in record["runs"]] == ([LENGTH] if causal else [2, 4])
    for run in record["runs"]:
        assert run["network_calls"] == run["steps"]
        assert [len(text) for text in run["texts"]] == [LENGTH] * 3
        assert set().union(*run["texts"]) <= ALPHABET
        assert set(run["statistics"]) == {"entropy", "distinct_4", "repetition", "judge_bpc"}
        assert run["statistics"]["judge_bpc"] is None
