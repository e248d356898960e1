"""Every recipe of a published protocol from text to bound, at `scale=pilot` made tiny."""

import json
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from tcsm import config
from tcsm.stages import train
from tcsm.tools import plan
from tests.stages.house import PARAMS, RECIPES, TINY, House, command, finite, make_text
from tests.tokenizer_kinds import byte_level, saved, word_piece

pytestmark = pytest.mark.slow

FIRST = ("ar", "mdlm", "hollow")  # which others need
LENGTHS = {"text8": 256, "owt": 1024, "lm1b": 128}
KINDS = {"owt": ("gpt2", byte_level), "lm1b": ("bert", word_piece)}
SHORT = ("scale.steps=3", "scale.teacher={steps: 3, early: 3}", "scale.warmup=1")
SIZES = [part for part in TINY if not part.startswith(("scale=", "scale.batch", "corpus="))]


def stand_in(corpus: str, folder: Path) -> list[str]:
    """The overrides that replace a corpus and a tokenizer of the hub by small ones."""
    if corpus == "text8":
        (folder / "text.txt").write_text(make_text(0, words=1500))
        return ["corpus=local", f"corpus.path={folder / 'text.txt'}"]
    rows = [{"text": "the cat sat on the mat " * (n % 7 + 1)} for n in range(150)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    choice, made = KINDS[corpus]
    path, size = saved(folder / "tokenizer", made())
    return [
        *("corpus=records", f"corpus.path={folder / 'rows.jsonl'}", f"tokenizer={choice}"),
        *(f"tokenizer.path={path}", f"vocabulary={size}"),
    ]


def require_protocol(cfg: DictConfig, corpus: str) -> None:
    """At the scale of its own, a recipe has the steps, sizes and rates of the papers."""
    planned = cfg.copy()
    planned.scale = OmegaConf.load(PARAMS / f"scale/{corpus}.yaml")
    made = plan.plan_of(planned)
    assert made.tokens == 10**6 * 512 * LENGTHS[corpus]
    assert 80e6 < made.parameters < 300e6
    assert (cfg.trainer.learning_rate, cfg.trainer.ema.decay) == (3e-4, 0.9999)
    nets = [net for net in (cfg.model.net, cfg.model.net.get("body")) if net and "stem" in net]
    assert [(net.stem, net.dropout) for net in nets] == [(0, 0.1)] * len(nets) != []


@pytest.mark.parametrize("corpus", RECIPES)
def test_a_pilot_of_every_recipe(corpus: str, tmp_path: Path) -> None:
    house = House(tmp_path)
    common = ["scale=pilot", "scale.batch=8", *SIZES, *SHORT, *stand_in(corpus, tmp_path)]
    common += [f"data.root={tmp_path / 'data'}", f"targets.cache={tmp_path / 'cache'}"]
    done = command("prepare", *common)
    assert done.code == 0, done.err
    recipes = {path.stem for path in (PARAMS / "experiment" / corpus).glob("*.yaml")}
    assert recipes >= {*FIRST, "distribution_literal", "score_literal", "joint", "soft_hollow"}
    for name in (*FIRST, *sorted(recipes - {*FIRST})):
        kind = name.removesuffix("_nce").removesuffix("_ratio")
        needs = {"joint": ["reference=mdlm"], "soft_hollow": ["teacher_run=hollow"]}.get(kind, [])
        needs = [line.replace("=", f"={house.root}/") for line in needs]
        out = house.root / name
        given = [*common, f"experiment={corpus}/{name}", f"out={out}", *needs]
        cfg = config.compose(given)
        require_protocol(cfg, corpus)
        train.main(config.cut(cfg, train.READS), out)
        record = json.loads((house.root / name / "train.json").read_text())
        assert (record["steps"], record["weights"]) == (3, "averaged")
        assert finite(record["final"])
    done = command("evaluate", f"out={house.root / 'uniform'}", *SIZES)
    assert done.code == 0, done.err
