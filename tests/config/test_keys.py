"""Messages name the key that a user sets and those that exist; `~` is a home everywhere."""

from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.config.keys import unknown_key
from tcsm.errors import InputError
from tests.config.test_compose import PARAMS, mistake


@pytest.fixture(scope="module")
def cfg() -> DictConfig:
    return config.compose([], PARAMS)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("trainer.ema.decay", "trainer.ema is null|tcsm.training.optim.Ema|decay"),
        ("trainer.emma.decay", "unknown|did you mean ema?"),
        ("trainer.decay.decay", "unknown|allowed: _target_"),
        ("seed.x", "seed has no keys, it is 0"),
        ("judge.x", "judge is null"),
        ("scale.net.dimm", "did you mean dim?"),
        ("model.net.depth", "set the key net.depth"),
        ("model.net.depht", "net.depht|did you mean depth?"),
        ("model.path.schedule.x", "schedule.x|allowed: _target_"),
        ("trianer.ema.decay", "did you mean trainer?"),
    ],
)
def test_an_unknown_key_lists_those_that_exist(key: str, said: str, cfg: DictConfig) -> None:
    message = unknown_key(key, cfg)
    assert message.startswith(f"{key}: ")
    for part in said.split("|"):
        assert part in message


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("divergence=kl", "divergence=kl: |scoring=kl"),
        ("path=letters", "path=letters: |tokenizer=letters"),
        ("trainer.ema.decay=0.9", "trainer.ema.decay: |trainer.ema="),
        ("scale.net={dimm: 8}", "scale.net.dimm: |did you mean dim?"),
        (
            "trainer.decay={_target_: tcsm.training.optim.Cosine, least: 1}",
            "trainer.decay.least: |'~trainer.decay' and '+trainer.decay={_target_",
        ),
        ("sampling.steps=[1000000000]", "sampling.steps |16777216|1000000000"),
        ("collecting.steps=1000000000", "collecting.steps |16777216|1000000000"),
        ("threads=1000000", "threads must |1024|1000000"),
    ],
)
def test_a_wrong_override_says_what_is_right(override: str, said: str) -> None:
    message = mistake(override)
    for part in said.split("|"):
        assert part in message


def test_a_choice_that_another_part_has_is_pointed_to() -> None:
    from tests.config.test_unused import check

    with pytest.raises(InputError, match="this run reads scoring=itakura_saito"):
        check("divergence=itakura_saito")


def test_a_group_may_be_null_where_the_configuration_says_so() -> None:
    """It wins over the experiment's."""
    groups = ("reward", "reward_judge", "guide", "pretrained")
    nulls = [f"{group}=null" for group in groups]
    cfg = config.compose(["experiment=post/reward", *nulls], PARAMS)
    assert [cfg[group] for group in groups] == [None] * 4


def test_a_message_begins_with_the_key_to_set(cfg: DictConfig) -> None:
    for message, named in {
        "model.net.extra must be 1": "net.extra must be 1",
        "model.path.schedule.power: no": "schedule.power: no",
        "model.network: no": "model.network: no",
        "data.batch must be 1": "data.batch must be 1",
        "in model.net.extra: no": "in model.net.extra: no",
    }.items():
        with pytest.raises(InputError) as error, config.keys_as_set(cfg):
            raise InputError(message)
        assert str(error.value) == named


def test_a_part_of_a_part_has_its_whole_name() -> None:
    node = OmegaConf.create(
        {
            "pretrained": {
                "_target_": "tcsm.models.autoregressive.Autoregressive",
                "net": {
                    "_target_": "tcsm.nets.transformer.Transformer",
                    "dim": 9,
                    "heads": 2,
                    "vocabulary": 3,
                    "extra": 1,
                    "depth": 1,
                },
            }
        }
    )
    with pytest.raises(InputError, match=r"^pretrained\.net\.dim "), torch.device("meta"):
        config.build(node.pretrained)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_tilde_is_the_home(home: Path) -> None:
    keys = ("out", "scratch", "data.root", "reference", "initial", "targets.cache", "preferences")
    typed = [f"{key}=~/x y" for key in keys[:3]] + [f"{key}='~/x y'" for key in keys[3:]]
    cfg = config.compose(typed, PARAMS)
    assert {OmegaConf.select(cfg, key) for key in keys} == {f"{home}/x y"}


def test_so_it_is_in_lists_in_arguments_and_in_files(home: Path, tmp_path: Path) -> None:
    cfg = config.compose(["corpus=local", "corpus.path=~", "runs=[~/a,b]"], PARAMS)
    assert (cfg.corpus.path, cfg.runs) == (str(home), [f"{home}/a", "b"])
    assert OmegaConf.is_struct(cfg)
    file = OmegaConf.create({"out": "~/run", "data": {"root": "~/data"}})
    kept = config.cut(file, ("out", "data.root"))
    assert (kept.out, kept.data.root) == (f"{home}/run", f"{home}/data")


def test_a_template_may_begin_with_one(home: Path) -> None:
    template = "~/____"
    cfg = config.compose([f"sampling.template={template}"], PARAMS)
    assert config.cut(cfg, ("sampling.template",)) == {"sampling": {"template": template}}


def test_nobody_has_no_home(home: Path) -> None:
    with pytest.raises(InputError, match=r"^out: ~no-such-user/x: .*absolute path"):
        config.compose(["out=~no-such-user/x"], PARAMS)
