import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tcsm.reporting import relative
from tcsm.reporting.ablations import read
from tcsm.reporting.frames import Frames
from tcsm.reporting.tables import Rows, frame_of


def curve(name, seed, bits, own=1.0, others=0.0):
    step = np.arange(1, len(bits) + 1) * 100
    spent = own * step
    frame = {"variant": name, "seed": seed, "step": step, "tokens": step * 8, "own": spent}
    return pd.DataFrame(frame | {"seconds": spent + others, "bits": bits})


def points_of(runs) -> pd.DataFrame:
    return frame_of(read(Frames(runs), "acceleration", {}).curves("step"))


BASE = [curve("base", seed, [4.0, 3.0, 2.0 + seed / 10]) for seed in (0, 1)]


@pytest.mark.parametrize(
    ("y", "level", "x"),
    [
        ([4.0, 3.0, 2.0], 2.0, 300),  # at a point
        ([4.0, 3.0, 2.0], 2.25, 275),  # between points
        ([4.0, 3.0, 2.0], 5.0, 100),  # from the start
        ([4.0, 2.0, 3.0], 3.0, 150),  # the first of several
        ([4.0, 3.0, 2.0], 1.9, math.inf),  # never
    ],
)
def test_a_crossing_by_hand(y, level, x):
    actual = relative.crossing(np.array([100.0, 200.0, 300.0]), np.array(y), level)
    assert actual == pytest.approx(x)


def test_shares_are_those_of_the_same_seed():
    fast = [curve("fast", 0, [3.0, 1.0, 1.0], 2.0, 60.0), curve("fast", 1, [3.1, 1.1], 2.0, 60.0)]
    actual = relative.shares(pd.concat([*BASE, *fast]), "base").set_index(["variant", "seed"])
    for seed in (0, 1):  # crosses halfway from step 100 to 200
        row = actual.loc[("fast", seed)]
        assert row["steps"] == pytest.approx(150 / 300)
        assert row["own"] == pytest.approx(300 / 300)
        assert row["time"] == pytest.approx(360 / 300)
        assert actual.loc[("base", seed)].tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_a_run_that_never_arrives_is_counted():
    slow = [curve("slow", 0, [4.0, 3.0, 2.5]), curve("slow", 1, [4.0, 3.0, 1.1])]
    rows = Rows([{"variant": name} for name in ("base", "slow", "other")])
    shown = relative.time_to_target(rows, pd.concat([*BASE, *slow]), "base")
    actual = frame_of(shown)
    assert actual["steps_reached"].tolist() == [2, 1, 0]
    assert actual["steps_of"].tolist() == [2, 2, 0]
    share = (200 + 100 * 0.9 / 1.9) / 300
    assert actual["steps_value"].tolist()[:2] == pytest.approx([1.0, share])


def test_a_seed_without_a_baseline_is_left_out():
    other = curve("fast", 7, [1.0, 1.0, 1.0])
    assert "fast" not in set(relative.shares(pd.concat([*BASE, other]), "base")["variant"])


def test_curves_hold_the_teacher_s_time(ablated):
    points = points_of(ablated)
    part = points[(points["variant"] == "hollow") & (points["seed"] == 1)]
    assert part["step"].tolist() == list(range(100, 1201, 100))
    assert part["own"].tolist() == pytest.approx([step / 60 for step in range(100, 1201, 100)])
    assert (part["seconds"] - part["own"]).tolist() == pytest.approx([20.0] * 12)
    run = next(r for r in ablated if (r.experiment, r.seed) == ("acceleration/hollow", 1))
    nats = run.metrics["valid_nats_per_token"].dropna()
    assert part["bits"].tolist() == pytest.approx((nats / math.log(2)).tolist())


def test_every_seed_pays_for_the_teacher_that_it_needs(ablated):
    teacher = next(run for run in ablated if run.experiment == "teacher/hollow")
    dear = {"folder": Path("dear"), "seed": 1, "stages": {"train": {"cpu_seconds": 50.0}}}
    runs = [
        dataclasses.replace(run, config={**run.config, "teacher_run": "dear"})
        if (run.experiment, run.seed) == ("acceleration/hollow", 1)
        else run
        for run in ablated
    ]
    runs.append(dataclasses.replace(teacher, **dear))
    points = points_of(runs)
    part = points[points["variant"] == "hollow"]
    others = (part["seconds"] - part["own"]).groupby(part["seed"]).mean()
    assert others.to_dict() == pytest.approx({0: 20.0, 1: 50.0, 2: 20.0})


def test_nothing_was_trained(runs):
    assert points_of(runs).empty


def test_even_curves_share_their_place_over_seeds(ablated):
    """The second seed was twice as fast."""
    runs = [
        dataclasses.replace(run, telemetry=run.telemetry.assign(cpu_seconds=run.seed * 30.0))
        for run in ablated
        if run.experiment == "acceleration/none" and run.seed
    ]
    rows = read(Frames(runs), "acceleration", {}).curves("own")
    assert {row["own"] for row in rows} == {45.0}
