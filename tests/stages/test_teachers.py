"""Every teacher is trained by the pipeline itself, and asked about held-out text."""

import json
import math

import pytest

from tests.stages.house import LENGTH, TEACHERS, likelihood_of

pytestmark = pytest.mark.slow

# Of conditionals there is no bound; the others are models of text.
BOUNDS = {"teacher/gpt2": "exact", "teacher/ar": "exact", "teacher/denoiser": "count"}


@pytest.mark.parametrize("experiment", TEACHERS)
def test_a_teacher_is_trained_and_evaluated(house, trained, experiment):
    folder = house.copy(trained(experiment))
    house.good("evaluate", f"experiment={experiment}")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert all(math.isfinite(row["loss"]) for row in rows)
    actual = likelihood_of(folder)
    bound = BOUNDS.get(experiment.partition("_")[0], "pseudo")
    assert actual["bound"] == bound
    assert bool(actual["by_noise"]) == (bound == "count")
    for split in actual["splits"].values():
        assert split["draws"] == (2 if bound == "count" else 1)
        assert split["characters"] == 8 * LENGTH
        assert 0 < split["bpc"] < 2 * math.log2(27)
