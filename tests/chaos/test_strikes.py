"""Killed at any moment, the pipeline ends with the same bytes and leaves nothing behind."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.house import IS_LONG, Pipeline, long_form
from tests.chaos.strikes import group, plan, stages, suffer
from tests.held import PATIENCE, until

Fresh = Callable[[], Pipeline]


def test_killed_at_random_moments_it_ends_the_same(
    undisturbed: Pipeline, seconds: float, fresh: Fresh, tmp_path: Path
) -> None:
    """On one core, where the undisturbed run had two."""
    seed = int(os.environ.get("SEED", "0"))
    count = int(os.environ.get("STRIKES", "28" if IS_LONG else "1"))
    strikes = plan(seed, count, seconds)
    print(f"\nSEED={seed} STRIKES={count}, over {seconds:.1f} s")
    while strikes:
        pipeline, left = fresh(), len(strikes)
        for hit in suffer(pipeline, strikes, 1, tmp_path / "said.txt"):
            print(f"strike {count - len(strikes):2}  {hit}", flush=True)
        assert pipeline.outcome() == undisturbed.outcome()
        assert pipeline.temporary() == []
        if len(strikes) == left:  # this run was faster than the undisturbed one
            strikes[0] = replace(strikes[0], moment=0.5 * strikes[0].moment)


@long_form
@pytest.mark.parametrize("stage", ["prepare", "train", "evaluate", "report"])
def test_killed_in_each_stage_it_ends_the_same(
    undisturbed: Pipeline, fresh: Fresh, stage: str, tmp_path: Path
) -> None:
    """Random moments seldom meet a stage that takes a tenth of a second."""
    pipeline, output = fresh(), tmp_path / "said.txt"
    running = pipeline.start(1, output)
    until(lambda: stage in stages(running).values() or running.poll() is not None)
    assert running.poll() is None, output.read_text()
    group(running)
    running.wait(PATIENCE)
    assert pipeline.run("--unlock").returncode == 0
    assert list(suffer(pipeline, [], 1, output)) == []
    assert pipeline.outcome() == undisturbed.outcome()
    assert pipeline.temporary() == []


@long_form
def test_the_number_of_cores_changes_no_bit(undisturbed: Pipeline, fresh: Fresh) -> None:
    pipeline = fresh()
    done = pipeline.python("-m", "snakemake", "--cores", "1", "--config", "scale=tiny")
    assert done.returncode == 0, done.stderr
    assert pipeline.outcome() == undisturbed.outcome()


@long_form
def test_after_all_of_it_there_is_nothing_to_do(undisturbed: Pipeline) -> None:
    assert undisturbed.plan("--config", "scale=tiny") == {}
