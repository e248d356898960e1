"""Tiny public checkpoints, post-trained by the command line, exported, and loaded again."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import tcsm
from benchmarks.peers.logits import waves
from tcsm.nets.dit import DIT
from tests.checkpoints import FAMILIES, GROUPED, make
from tests.stages.house import House, command, finite, likelihood_of

pytestmark = pytest.mark.slow

LLADA = Path(__file__).parents[1] / "nets/llada_logits.json"
POSITIONS = "max_position_embeddings"
REWARD = "tests.stages.house:vowels"
DRAWN = ("batches=on_policy", "sampler.steps=2", "reward=function")
OBJECTIVES = {
    "ratio": ("objective=density_ratio", "divergence=bce"),
    "tilted": ("batches=collected", "tilt.beta=5.0", "batches.least_ess=0.0"),
    "paired": ("objective=preference_paired", "batches=pairs"),
    "elbo": ("objective=preference_elbo", "objective.draws=2", "batches=pairs"),
    "distilled": ("objective=soft", "teacher=one_sided"),
    "wd1": ("objective=weighted_likelihood", *DRAWN),
    "gdsd": ("objective=guided_distillation", *DRAWN),
}
PLAIN = ("distilled", "tilted", "wd1")  # without a reference
COVER = {
    "gpt2": ("ratio", "paired", "distilled"),
    "qwen2": ("tilted", "wd1", "elbo"),
    "gemma": ("ratio", "gdsd"),
    "bert": ("paired", "wd1", "distilled"),
    "mdlm": ("tilted", "gdsd", "elbo"),
    "llada": ("tilted",),
    "dream": ("ratio",),
}


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setenv("TCSM_TARGETS", "tests.stages.house")
    shape = ("Qwen2ForCausalLM", {**GROUPED, "head_dim": 4}, POSITIONS)
    monkeypatch.setitem(FAMILIES, "qwen2", shape)


@pytest.fixture(scope="module")
def collected(file_house) -> Path:
    """Windows of the text with their rewards; no model draws them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TCSM_TARGETS", "tests.stages.house")
        given = ["collecting.corpus=true", "reward=function", f"reward.path={REWARD}"]
        return file_house.good("collect", *given, name="collected")


def checkpoint(family: str, folder: Path) -> list[str]:
    """The overrides for a checkpoint of a family, which is written to a folder."""
    if family == "mdlm":
        weights = DIT(vocabulary=27, dim=8, depth=1, heads=2).state_dict()
        for part in ("weight", "bias"):
            head = weights.pop(f"head.{part}")
            weights[f"output_layer.linear.{part}"] = torch.cat([head, head[:1]])
        folder.mkdir()
        save_file(weights, folder / "model.safetensors")
        return ["net=dit", f"net.name={folder}", "net.heads=2"]
    if family == "llada":
        peer = json.loads(LLADA.read_text("utf-8"))
        sizes = {"vocab_size": 30, "embedding_size": 30, "mask_token_id": 29}
        shapes = {key: torch.Size(30 if n == 12 else n for n in shape)
                  for key, shape in peer["shapes"].items()}  # fmt: skip
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({**peer["config"], **sizes}))
        save_file(waves(shapes), folder / "model.safetensors")
        return ["net=backbone", f"net.name={folder}"]
    if family == "dream":
        make("qwen2").save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        named = {"model_type": "Dream", "mask_token_id": 40}
        (folder / "config.json").write_text(json.dumps({**config, **named}))
        return ["net=backbone", f"net.name={folder}", "net.shift=true", "net.start=63"]
    make(family).save_pretrained(folder)
    return ["net=backbone", f"net.name={folder}", f"net.causal={family != 'bert'}"]


def conditionals(folder: Path) -> torch.Tensor:
    """What a run says of two states."""
    x = torch.tensor([[3, 27, 0, 27, 5, 27], [27, 27, 1, 2, 26, 27]])
    return tcsm.load(folder).log_conditionals(x, torch.ones(2) / 2)


def exported(run: Path) -> Path:
    """The folder that a run is exported to."""
    target = run.with_name(f"{run.name}-published")
    assert command("export", str(run), str(target)).code == 0
    return target


@pytest.mark.parametrize("family", COVER)
def test_a_checkpoint_goes_in_and_comes_out(file_house, collected, trained, tmp_path, family):
    house, name = file_house, f"{family}-start"
    net = checkpoint(family, tmp_path / family)
    fast = ["trainer.steps=2", "validation.every=2", "trainer.learning_rate=0.01"]
    start = house.good("train", "experiment=kjv/distribution", *net, *fast, name=name)
    house.good("evaluate", name=name)
    house.good("sample", name=name)
    assert finite(likelihood_of(start))
    before = conditionals(start)
    for objective in COVER[family]:
        given = [*OBJECTIVES[objective], f"initial={start}"]
        given += [f"reference={start}"] * (objective not in PLAIN)
        given += [f"collected={collected}"] * any("batches=" in word for word in given)
        given += [f"reward.path={REWARD}"] * ("reward=function" in given)
        given += [f"teacher_run={trained('kjv/ar')}"] * (objective == "distilled")
        run = house.good("train", *net, *fast, *given, name=f"{family}-{objective}")
        after = conditionals(exported(run))
        assert not torch.equal(after, before), objective
        assert not after.isnan().any(), objective
    assert torch.equal(after, conditionals(run))


def test_every_objective_meets_two_families():
    met = [objective for objectives in COVER.values() for objective in objectives]
    assert all(met.count(objective) >= 2 for objective in OBJECTIVES)


def test_lora_is_trained_from_the_command_line(house: House, tmp_path):
    """Its matrices alone move, and the run is loaded with them."""
    pytest.importorskip("peft", reason="the extra lora is not installed")
    net = [*checkpoint("qwen2", tmp_path / "qwen2"), "net.lora=2"]
    fast = ["trainer.steps=2", "validation.every=2", "trainer.learning_rate=0.01"]
    start = house.good("train", *net, *fast, "trainer.steps=0", "trainer.warmup=0", name="start")
    run = house.good("train", *net, *fast, f"initial={start}", name="adapted")
    one, two = (load_file(folder / "weights.safetensors") for folder in (start, run))
    moved = {key for key in one if not torch.equal(one[key], two[key])}
    assert moved
    assert all("lora_" in key for key in moved)
    assert torch.equal(conditionals(exported(run)), conditionals(run))
