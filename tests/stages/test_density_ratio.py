"""Density ratios from the command line: started at a run, held against it, refused without it."""

import pytest

from tcsm.training.checkpoint import load
from tests.stages.house import likelihood_of

pytestmark = pytest.mark.slow

RATIO = "experiment=post/density_ratio"


def bpc(folder):
    return likelihood_of(folder)["splits"]["test"]["bpc"]


def test_a_ratio_begins_at_its_reference_and_saves_its_own_network_alone(house, finished):
    run = finished("kjv/distribution")
    given = (RATIO, f"reference={run}", f"initial={run}")
    still = ("trainer.steps=0", "trainer.warmup=0")
    for kind in ("factorized", "explicit"):
        for stage in ("train", "evaluate"):
            begun = house.good(stage, *given, *still, f"model={kind}", name=f"still_{kind}")
        assert bpc(begun) == pytest.approx(bpc(run), rel=1e-6)
        for stage in ("train", "evaluate", "sample"):
            folder = house.good(stage, *given, f"model={kind}", name=f"ratio_{kind}")
        assert bpc(folder) != bpc(begun)
        saved, known = (load(each / "weights.safetensors")[0] for each in (folder, run))
        assert saved.keys() == known.keys()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("factorized", "reference: "),
        ("explicit", "reference: "),
    ],
)
def test_without_a_reference_there_is_no_ratio(house, model, said):
    done = house.run("train", RATIO, f"model={model}", name="none")
    assert done.code == 2
    assert said in done.err[-1]
    assert not (house.root / "none").exists()
