"""A typed configuration holds built objects under the names of its keys."""

from dataclasses import dataclass

from omegaconf import OmegaConf

from tcsm.config import Unbuilt, typed
from tcsm.training.optim import Linear


@dataclass(frozen=True)
class Sizes:
    length: int


@dataclass(frozen=True)
class Settings:
    seed: int
    data: Sizes
    decay: Linear
    later: Unbuilt[Linear] | None
    none: Unbuilt[Linear] | None


def test_nodes_are_built_now_or_later_and_mappings_are_dataclasses():
    node = {"_target_": "tcsm.training.optim.Linear"}
    cfg = OmegaConf.create(
        {"seed": 3, "data": {"length": 8, "batch": 2}, "decay": node, "later": node, "other": 1}
    )
    settings = typed(Settings, cfg)
    assert (settings.seed, settings.data, settings.none) == (3, Sizes(8), None)
    assert isinstance(settings.decay, Linear)
    assert isinstance(settings.later, Unbuilt)
    assert settings.later() == settings.decay
    assert settings.later.plain == node
