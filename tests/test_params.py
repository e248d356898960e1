"""Every experiment composes and builds at every scale, and every choice of every group."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.config.signatures import check_arguments
from tcsm.noise import Noise
from tcsm.objectives.base import ReferenceObjective
from tcsm.training.state import TrainState
from tests.stages.house import RECIPES
from workflow.ablations import read
from workflow.compose import Compositions

PARAMS = Path(__file__).parents[1] / "params"
FILES = sorted(
    path.relative_to(PARAMS).with_suffix("").as_posix() for path in PARAMS.rglob("*.yaml")
)
EXPERIMENTS = [
    name.removeprefix("experiment/") for name in FILES if name.startswith("experiment/")
]
PUBLISHED = [name for name in EXPERIMENTS if name.partition("/")[0] in RECIPES]
TRAINED = [
    name
    for name in EXPERIMENTS
    if "train"
    in yaml.safe_load((PARAMS / f"experiment/{name}.yaml").read_text()).get("stages", ["train"])
    and not name.startswith(("reward/", "judge/"))  # classifiers
    and name not in PUBLISHED  # tests/stages/test_pilots.py
]
SCALES = [name.removeprefix("scale/") for name in FILES if name.startswith("scale/")]
NO_CHOICES = ("experiment/", "ablation/", "process/")  # process/ sets choices of other groups
CHOICES = [name for name in FILES if "/" in name and not name.startswith(NO_CHOICES)]
# What these leave to the user.
OPEN = {
    "corpus/local": ["corpus.path=text.txt"],
    "corpus/records": ["corpus.path=texts.jsonl"],
    "batches/on_policy": ["reward=classifier"],
    "labels/jsonl": ["labels.path=texts.jsonl"],
    "reward/function": ["reward.path=tcsm.data.normalize:text8"],
    "tilt/world": ["world=moons", "tilting=slope"],
    "tilting/region": ["world=moons"],
    "tilting/slope": ["world=moons"],
}
ABLATIONS = [name.removeprefix("ablation/") for name in FILES if name.startswith("ablation/")]


@cache
def composed(*overrides: str) -> DictConfig:
    """What Hydra composes, which takes a third of a second; not to be changed."""
    return config.compose(overrides, PARAMS)


def at(scale: str, *overrides: str) -> DictConfig:
    """A composition at a scale, which is a part like another: the rest refers to it."""
    actual = composed(*overrides).copy()
    actual.scale = OmegaConf.load(PARAMS / f"scale/{scale}.yaml")
    return actual


@pytest.mark.parametrize(
    ("process", "experiment", "other"),
    [
        ("uniform", "kjv/distribution", "kjv/uniform"),
        ("uniform", "kjv/score", "kjv/uniform_score"),
        ("mask", "kjv/uniform", "kjv/distribution"),
    ],
)
def test_a_process_sets_all_that_depends_on_it(process: str, experiment: str, other: str) -> None:
    actual = composed(f"experiment={experiment}", f"process={process}").copy()
    actual.experiment = other
    assert actual == composed(f"experiment={other}")


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_is_all_that_its_choice_sets(scale: str) -> None:
    chosen = config.compose(["experiment=kjv/score", f"scale={scale}"], PARAMS)
    assert at(scale, "experiment=kjv/score") == chosen


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [name for name in EXPERIMENTS if name not in PUBLISHED])
def test_an_experiment_builds_at_the_least_and_the_largest_scale(experiment: str) -> None:
    assert composed(f"experiment={experiment}").scale == composed().scale
    for scale in ("smoke", "full"):
        with torch.device("meta"):
            config.check(at(scale, f"experiment={experiment}"))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", TRAINED)
def test_an_experiment_takes_one_step(experiment: str) -> None:
    cfg = at("smoke", f"experiment={experiment}")
    torch.manual_seed(0)
    model, objective, recipe = map(config.build, (cfg.model, cfg.objective, cfg.trainer))
    if cfg.needs.teacher_run:
        other = at("smoke", f"experiment={cfg.needs.teacher_run}")
        objective = objective.attach(objective.target.teacher.attach(config.build(other.model)))
    if isinstance(objective, ReferenceObjective):
        other = at("smoke", f"experiment={cfg.needs.reference}")
        objective = objective.attach(config.build(other.model))
    state = TrainState(model.net, recipe)
    sequences = 2 if cfg.batches._target_ == "tcsm.data.pairs.Pairs" else 1
    tokens = torch.randint(cfg.vocabulary, (4, sequences * cfg.data.length))
    loss = objective(model, tokens, Noise(0, 0, torch.arange(4), 4))["loss"]
    loss.backward()
    norm = state.descend()
    assert loss.isfinite()
    assert 0 < norm < torch.inf
    assert state.step == 1


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [name for name in EXPERIMENTS if name not in PUBLISHED])
def test_what_an_experiment_says_is_what_is_composed(experiment: str) -> None:
    output = yaml.safe_load((PARAMS / f"experiment/{experiment}.yaml").read_text("utf-8"))
    del output["defaults"]
    actual = composed(f"experiment={experiment}")
    assert OmegaConf.merge(actual, output) == actual


def by_hydra(choice: str) -> bool:
    """Whether Hydra composes the file, which takes most of a second."""
    text = (PARAMS / f"{choice}.yaml").read_text("utf-8")
    return choice in OPEN or bool(re.search(r"(?m)^(defaults:|# @package)", text))


@pytest.mark.parametrize(
    "choice",
    [pytest.param(name, marks=[pytest.mark.slow] * by_hydra(name)) for name in CHOICES],
)
def test_every_choice_has_real_arguments(choice: str) -> None:
    group, name = choice.split("/", 1)
    text = (PARAMS / f"{choice}.yaml").read_text("utf-8")
    if by_hydra(choice):
        actual = config.compose([f"{group}={name}", *OPEN.get(choice, [])], PARAMS)
    else:
        actual = composed().copy()
        actual[group] = OmegaConf.create(text)
    check_arguments(OmegaConf.create(OmegaConf.to_container(actual[group], resolve=True)))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_is_short_and_says_what_it_is_for(experiment: str) -> None:
    text = (PARAMS / f"experiment/{experiment}.yaml").read_text("utf-8")
    heads = [r"# @package _global_", r"# Shows: \w", r"# Expected on .*: \w", r"# Cost: \w"]
    for line, head in zip(text.splitlines(), heads, strict=False):
        assert re.match(head, line)
    assert 8 <= len(text.splitlines()) <= 20
    assert yaml.safe_load(text)["experiment"] == experiment


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a workflow keeps what it has composed."""
    return tmp_path_factory.mktemp("memory")


@pytest.mark.slow
@pytest.mark.parametrize("ablation", ABLATIONS)
def test_every_value_of_an_ablation_builds(
    ablation: str, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the workflow has it; variants whose values all occur in earlier ones are left out.

    At the scale that runs all values: a scale changes numbers alone.
    """
    monkeypatch.setattr(config, "params_folder", lambda: PARAMS)
    monkeypatch.chdir(memory)
    made, seen = Compositions("full"), set()
    for variant in read(ablation, "full", PARAMS):
        if not seen.issuperset(variant.axes):
            made.check(variant, dict.fromkeys(variant.stages, ""))
            seen.update(variant.axes)


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_an_ablation_asks_a_question_and_tells_its_cost(ablation: str) -> None:
    question, cost, *_ = (PARAMS / f"ablation/{ablation}.yaml").read_text("utf-8").splitlines()
    assert re.fullmatch(r"# \S.*\?", question)
    assert re.fullmatch(r"# Cost: about \d+ CPU-seconds at scale=default\.", cost)


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_names_itself_and_known_experiments(scale: str) -> None:
    actual = at(scale).scale
    assert actual.name == scale
    assert set(actual.pretrain) <= set(EXPERIMENTS)
    assert actual.judge in [None, *actual.pretrain]
    assert len(set(actual.seeds)) == len(actual.seeds) >= 1


def test_all_scales_have_the_same_keys() -> None:
    keys = {
        scale: set(yaml.safe_load((PARAMS / f"scale/{scale}.yaml").read_text()))
        for scale in SCALES
    }
    assert len({frozenset(actual) for actual in keys.values()}) == 1


def test_the_default_run_keeps_to_its_budget() -> None:
    budget = at("default").scale.budget
    assert dict(budget) == {"pretrain": 800, "ablations": 500, "post_training": 450}


@pytest.mark.parametrize("name", FILES)
def test_every_key_is_explained(name: str) -> None:
    """A comment stands at the head of every file."""
    lines = (PARAMS / f"{name}.yaml").read_text("utf-8").splitlines()
    comments = [line for line in lines[:3] if re.match(r"# [^@]", line)]
    assert comments


def test_headers_and_findings_say_what_the_default_run_measured() -> None:
    """The test BPC of the headline, to three digits."""
    metrics = json.loads((PARAMS.parent / "reports/metrics.json").read_text("utf-8"))["headline"]
    report = yaml.safe_load((PARAMS / "report/default.yaml").read_text("utf-8"))["report"]
    findings = (PARAMS.parent / "docs/findings.md").read_text("utf-8")
    for experiment in at("default").scale.pretrain:
        label = report["experiments"][experiment]
        header = (PARAMS / f"experiment/{experiment}.yaml").read_text("utf-8")
        measured = f"{metrics[label]['test_bpc']:.3f}"
        assert f"scale=default: {measured} ±" in header, experiment
        assert f"| {measured} ±" in findings, experiment
