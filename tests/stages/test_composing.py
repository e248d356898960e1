"""The quick composition of these tests is Hydra's."""

import pytest

from tcsm import config
from tests.stages.composing import compose, composed_by
from tests.stages.house import TINY


@pytest.mark.parametrize(
    "more",
    [
        ["experiment=kjv/joint", "reference=x", "trainer.steps=4", "+trainer.gate=3"],
        ["~net", "+net={_target_: a.B, c: 1}", "objective=score", "objective.smoothing=0.5"],
    ],
)
def test_it_is_what_hydra_composes(more: list[str]) -> None:
    found = config.compose([*TINY, *more])
    with composed_by(compose):
        assert config.compose([*TINY, *more]) == found
