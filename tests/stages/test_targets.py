"""Errors of targets from the command line, and by hand on small tables."""

import json

import pytest
import torch

from tcsm.metrics.targets import compare
from tests.stages.house import finite

EXACT = ("teacher=top_k", "teacher.k=27")


def errors_in(folder):
    """The errors of targets in the record of an evaluation."""
    return json.loads((folder / "evaluate.json").read_text())["metrics"]["targets"]


@pytest.fixture(scope="module")
def error(file_house, trained):
    """The record of a way of asking an autoregressive run."""
    run = trained("kjv/ar")

    def record(*way: str) -> dict:
        given = ("metric=[targets]", f"evaluation.run={run}", f"teacher_run={run}")
        folder = file_house.good("evaluate", *given, *way, name="errors")
        assert (folder / "config.yaml").exists()
        times = json.loads((folder / "evaluate.telemetry.json").read_text())
        assert times["targets_cpu_seconds"] + times["targets_spared_cpu_seconds"] > 0
        return errors_in(folder)

    return record


@pytest.mark.slow
def test_errors_of_ways_to_ask(error):
    actual = error("teacher=top_k", "teacher.k=2")
    assert finite(actual)
    assert actual["sequences"] == 8
    assert actual["tv"] == pytest.approx(actual["missing"], abs=1e-6)
    assert error(*EXACT)["tv"] < 1e-6
    assert error("teacher=exact")["tv"] == 0
    assert actual["tv"] > error("teacher=top_k", "teacher.k=16")["tv"] > 1e-6
    flat = error("teacher=top_k", "teacher.k=2", "teacher.temperature=2.0")
    assert flat["entropy"] > actual["entropy"]


@pytest.mark.slow
def test_one_candidate_and_a_tail_is_the_tail_alone(error):
    for way, tail in (("one_sided", "OneSided"), ("taylor", "Taylor")):
        teacher = f"teacher.tail={{_target_: tcsm.targets.adapters.{tail}}}"
        hybrid = error("teacher=top_k", "teacher.k=1", teacher)
        assert hybrid["tv"] == pytest.approx(error(f"teacher={way}")["tv"], abs=1e-6)
        assert hybrid["missing"] == 0


@pytest.mark.slow
def test_other_models_are_held_against_the_same_distribution(house, trained):
    given = [f"evaluation.run={trained('kjv/ar')}", f"teacher_run={trained('teacher/hollow')}"]
    folder = house.good("evaluate", "metric=[targets]", *given, name="hollow-errors")
    assert 0 < errors_in(folder)["tv"] < 1


def test_more_windows_than_the_split_has_are_refused(house, trained):
    """None would be new: the validation split has 228 tokens."""
    given = (f"evaluation.run={trained('kjv/ar')}", "teacher_run=x", "evaluation.sequences=15")
    done = house.run("evaluate", "metric=[targets]", *given, name="none")
    assert (done.code, len(done.err)) == (2, 1)
    assert "evaluation.sequences must be 13 or less" in done.err[0]


def test_a_missing_teacher_is_refused(house, trained):
    run = f"evaluation.run={trained('kjv/ar')}"
    done = house.run("evaluate", "metric=[targets]", run, name="none")
    assert done.code == 2
    assert "teacher_run: found null" in done.err[-1]


def test_numbers_of_two_sequences_by_hand():
    exact = torch.tensor([[[0.5, 0.5, 0.0]], [[0.25, 0.25, 0.5]]]).log()
    actual = compare(torch.tensor([[[1.0, 0.0, 0.0]], [[0.25, 0.75, 0.0]]]).log(), exact)
    assert actual["tv"] == pytest.approx(0.5)
    assert actual["tv_se"] == pytest.approx(0.0)
    assert actual["missing"] == pytest.approx(0.5)
    assert actual["entropy"] == pytest.approx((0.6931 + 1.0397) / 2, abs=1e-3)
