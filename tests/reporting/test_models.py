import dataclasses
import json
import math

import numpy as np
import pytest

from tcsm.errors import InputError
from tcsm.io.records import write_json
from tcsm.reporting import models
from tcsm.reporting.frames import Frames, labeled
from tcsm.runs.outcome import read_runs
from tcsm.statistics import over_seeds

LABELS = {"kjv/score": "Score", "kjv/mdlm": "MDLM", "kjv/none": "Never run"}
PAIRS = [["kjv/score", "kjv/mdlm"], ["kjv/none", "kjv/mdlm"]]


def bpc(runs, experiment):
    part = sorted((r for r in runs if r.experiment == experiment), key=lambda run: run.seed)
    return np.array([run.evaluate["splits"]["test"]["bpc"] for run in part])


def test_the_headline_by_hand(runs):
    rows = models.headline(Frames(runs), LABELS)
    assert rows["variant"].tolist() == ["Score", "MDLM"]
    values = bpc(runs, "kjv/score")
    row = rows.iloc[0]
    assert row.test_value == pytest.approx(values.mean())
    assert row.test_error == pytest.approx(values.std(ddof=1) / math.sqrt(3))
    assert (row.seeds, row.steps, row.tokens, row.bound) == (3, 1200, 9_830_400, "count")
    assert row.cpu_seconds == pytest.approx((290 + 291 + 292) / 3)


def test_one_seed_has_no_error(runs):
    row = models.headline(Frames([run for run in runs if run.seed == 0]), LABELS).iloc[0]
    assert math.isnan(row.test_error)
    assert row.test_count == 1


def test_differences_by_hand(runs):
    rows = models.differences(Frames(runs), LABELS, PAIRS)
    assert rows[["subject", "baseline"]].to_numpy().tolist() == [["Score", "MDLM"]]
    row, gap = rows.iloc[0], bpc(runs, "kjv/score") - bpc(runs, "kjv/mdlm")
    paired = over_seeds(gap)
    assert row.seed_value == pytest.approx(gap.mean())
    assert (row.seed_low, row.seed_high) == pytest.approx((paired.low, paired.high))
    assert row["share"] == pytest.approx(gap.mean() / bpc(runs, "kjv/mdlm").mean())
    assert row.sequence_value == pytest.approx(gap.mean())  # the same texts: the same mean
    assert row.sequence_count == 40


def test_numbers_that_overflowed_are_missing(folders):
    path = next(f for f in folders if f.match("kjv/score/seed-2")) / "evaluate.json"
    record = json.loads(path.read_text())
    test = record["metrics"]["likelihood"]["splits"]["test"]
    test |= {"bpc": None, "bpc_se": None, "nats": [None, *test["nats"][1:]]}
    write_json(path, record)
    actual = read_runs(folders)
    assert math.isnan(models.headline(Frames(actual), LABELS).iloc[0].test_value)
    assert math.isfinite(models.headline(Frames(actual), LABELS).iloc[0].valid_value)
    assert labeled(Frames(actual).splits, LABELS)["bpc"].isna().sum() == 1
    assert math.isnan(models.differences(Frames(actual), LABELS, PAIRS).iloc[0].seed_value)


def test_only_shared_seeds_are_compared(runs):
    kept = [run for run in runs if (run.experiment, run.seed) != ("kjv/mdlm", 1)]
    assert models.differences(Frames(kept), LABELS, PAIRS).iloc[0].seed_count == 2


def test_other_sequences_are_refused(folders):
    path = next(f for f in folders if f.match("kjv/mdlm/seed-2")) / "evaluate.json"
    record = json.loads(path.read_text())
    record["metrics"]["likelihood"]["splits"]["test"]["chars"][3] += 1
    write_json(path, record)
    with pytest.raises(InputError, match=r"mdlm/seed-2/evaluate.json: its test sequences are not"):
        models.differences(Frames(read_runs(folders)), LABELS, PAIRS)


def test_curves_are_in_bits_where_the_metric_was_logged(runs):
    rows = labeled(Frames(runs).curves, LABELS)
    part = rows[(rows["variant"] == "Score") & (rows["seed"] == 0)]
    run = next(run for run in runs if (run.experiment, run.seed) == ("kjv/score", 0))
    logged = run.metrics.dropna()
    assert part["tokens"].tolist() == logged["tokens"].tolist()
    assert part["bits"].tolist() == pytest.approx(
        (logged["valid_nats_per_token"] / math.log(2)).tolist()
    )


def test_a_metric_that_is_not_logged_gives_no_curve(runs):
    bare = [dataclasses.replace(run, metrics=run.metrics[["step", "loss"]]) for run in runs]
    assert labeled(Frames(bare).curves, LABELS).empty


def test_curves_stand_side_by_side(runs):
    last = labeled(Frames(runs).curves, LABELS).groupby(["variant", "seed"])["bits"].last()
    means = last.groupby("variant").mean()
    table = models.learning_table(Frames(runs), LABELS)
    assert list(table.columns) == ["tokens", "Score", "MDLM"]
    assert table[["Score", "MDLM"]].iloc[-1].to_dict() == pytest.approx(means.to_dict())


@pytest.mark.parametrize("level", [{"masked_fraction": 0.25}, {"alpha": 0.75}])
def test_noise_runs_from_clean_to_nothing(folders, level):
    path = folders[0] / "evaluate.json"
    record = json.loads(path.read_text())
    record["metrics"]["likelihood"]["by_noise"] = [{**level, "nats_per_token": 2.0}]
    write_json(path, record)
    rows = labeled(Frames(read_runs(folders[:1])).noise, {"kjv/distribution": "D"})
    columns = ["variant", "seed", "bound", "noise", "bits"]
    assert rows[columns].to_numpy().tolist() == [["D", 0, "count", 0.25, 2.0 / math.log(2)]]


def test_a_statistic_without_a_judge_is_not_a_number(folders):
    path = folders[0] / "samples.json"
    record = json.loads(path.read_text())
    record["runs"][0]["statistics"]["judge_bpc"] = None
    write_json(path, record)
    rows = labeled(Frames(read_runs(folders[:1])).samples, {"kjv/distribution": "D"})
    assert len(rows) == 3
    assert rows["judge_bpc"].isna().tolist() == [True, False, False]
