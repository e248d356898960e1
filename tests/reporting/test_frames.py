import dataclasses
import math

import pandas as pd
import pytest

from tcsm.reporting import frames


@pytest.mark.parametrize(("counts", "met"), [([0, 0], False), ([0, 2], True)])
def test_a_refused_step_is_no_finite_run(runs, counts, met):
    metrics = pd.DataFrame({"nonfinite": counts})
    assert frames.stopped(dataclasses.replace(runs[0], metrics=metrics)) is met


def test_a_run_that_counts_nothing_is_fine(runs):
    bare = dataclasses.replace(runs[0], metrics=pd.DataFrame({"loss": [1.0]}))
    assert not frames.stopped(bare)
    assert not frames.diverged(bare.metrics)
    assert not frames.diverged(pd.DataFrame({frames.KEY: [math.nan]}))


@pytest.mark.parametrize(("planned", "early"), [(400, False), (500, True)])
def test_a_run_that_ends_before_its_plan_was_stopped(runs, planned, early):
    run = runs[0]
    steps = {**run.train, "steps": 400}
    actual = dataclasses.replace(run, train=steps, config={"trainer": {"steps": planned}})
    assert frames.stopped(actual) is early
    assert not frames.stopped(dataclasses.replace(actual, train={}))


def test_a_run_diverged_if_it_ends_well_above_its_best():
    curve = [3.0, 2.0, 1.5, math.nan, 1.6]
    assert not frames.diverged(pd.DataFrame({frames.KEY: [*curve, 1.8]}))
    assert frames.diverged(pd.DataFrame({frames.KEY: [*curve, 1.9]}))
