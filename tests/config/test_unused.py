"""What nothing reads is refused; what is read through others is not."""

from pathlib import Path

import pytest

from tcsm import config
from tcsm.config.unused import PARTS, reached, require_read
from tcsm.errors import InputError

PARAMS = Path(__file__).parents[2] / "params"


def check(*overrides: str, reads: tuple[str, ...] = ("objective",)) -> None:
    require_read(overrides, config.compose(overrides, PARAMS), reads, PARAMS)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["divergence=bce"], "divergence=bce: nothing in this run reads divergence; it needs"),
        (["divergence=bce", "objective=score_log_linear"], "objective=score_whole"),
        (["objective=nce", "neighborhood=edit"], "nothing in this run reads neighborhood"),
        (["objective=next_token", "weighting=likelihood"], "reads weighting"),
        (["scoring=tsallis", "scoring.order=3.0", "objective=nelbo"], "scoring=tsallis: nothing"),
    ],
)
def test_what_nothing_reads_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check(*overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["objective=score", "divergence=power", "divergence.power=0.3"],
        ["schedule=cosine", "path=mask", "net.depth=3"],  # through path and model
        ["objective=soft", "soft=score_level", "divergence=bce"],  # through soft
        ["trainer.steps=3", "experiment=kjv/score"],
    ],
)
def test_what_is_read_through_others_is_not(overrides: list[str]) -> None:
    check(*overrides)


def test_what_the_stage_itself_reads_is_not() -> None:
    check("teacher=plain", reads=("teacher.batch",))
    with pytest.raises(InputError, match="nothing in this run reads teacher"):
        check("teacher=plain")


def test_every_part_is_a_group() -> None:
    assert all((PARAMS / part).is_dir() for part in PARTS)


def test_what_is_reached_is_found_from_key_to_key() -> None:
    plain = {"objective": {"d": "${divergence}"}, "divergence": "${net.dim}", "path": 1}
    assert reached(plain, set()) == {"objective", "divergence", "net"}
