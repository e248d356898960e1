"""A composition whose files are read once is Hydra's."""

import shutil

import hydra
import pytest

from tcsm import config
from tcsm.config.choices import composed
from tests.stages.house import PARAMS, TINY


@pytest.mark.parametrize(
    "more",
    [
        ["experiment=kjv/joint", "reference=x", "trainer.steps=4", "+trainer.gate=3"],
        ["~net", "+net={_target_: a.B, c: 1}", "objective=score", "objective.smoothing=0.5"],
        ["experiment=kjv/score", "divergence=bce", "++note.deep=[1,2]"],
    ],
)
def test_it_is_what_hydra_composes(more: list[str]) -> None:
    with hydra.initialize_config_dir(config_dir=str(PARAMS), version_base=None):
        lines = [*TINY, *more]
        expected = hydra.compose("config", overrides=lines)
        assert composed(PARAMS, lines) == composed(PARAMS, lines) == expected


def test_an_edited_file_is_read_again(tmp_path) -> None:
    params = shutil.copytree(PARAMS, tmp_path / "params")
    before = config.compose(params_dir=params)
    assert before.seed != 71
    file = params / "config.yaml"
    text = file.read_text("utf-8")
    assert f"\nseed: {before.seed}\n" in text
    file.write_text(text.replace(f"\nseed: {before.seed}\n", "\nseed: 71\n"), "utf-8")
    assert config.compose(params_dir=params).seed == 71
