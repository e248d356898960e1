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
        actual = _record(folder, f"{name}.json")
        assert finite(actual)
        assert (actual["stage"], actual["experiment"], actual["seed"]) == (stage, experiment, 0)
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
    actual = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["tokens"]) for row in actual] == [(n, n * TOKENS) for n in (2, 4, 6)]
    assert record["final"] == actual[-1]
    assert finite(actual)
    assert all(row["grad_norm"] > 0 for row in actual)
    assert "valid_bits_per_token" in actual[-1]


def require_evaluation(record, cfg):
    assert record["bound"] == cfg.bound._target_.rpartition(".")[2].lower()
    assert (record["epsilon"] is not None) == (record["bound"] == "time")
    assert set(record["splits"]) == {"valid", "test"}
    for actual in record["splits"].values():
        nats, characters = np.array(actual["nats"]), np.array(actual["chars"])
        assert len(nats) == len(characters) == actual["sequences"] == 8
        assert actual["tokens"] == actual["characters"] == characters.sum() == 8 * LENGTH
        assert actual["bpc"] == pytest.approx(nats.sum() / characters.sum() / math.log(2))
        assert actual["ppl_token"] == pytest.approx(math.exp(nats.sum() / actual["tokens"]))
        assert actual["bpc_se"] > 0
        assert actual["draws"] == (1 if record["bound"] == "exact" else 2)


def require_samples(record, cfg):
    causal = cfg.model.net.causal
    assert [run["steps"] for run in record["runs"]] == ([LENGTH] if causal else [2, 4])
    for run in record["runs"]:
        assert run["network_calls"] == run["steps"]
        assert [len(text) for text in run["texts"]] == [LENGTH] * 3
        assert set().union(*run["texts"]) <= ALPHABET
        assert set(run["statistics"]) == {"entropy", "distinct_4", "repetition", "judge_bpc"}
        assert run["statistics"]["judge_bpc"] is None
