"""Files of the user decide what is run again: by what they hold, and not by their times."""

import json
import os
from pathlib import Path

import pytest

from tcsm.config import possible_paths
from tests.workflow.house import TOP
from workflow.inputs import files, read_by
from workflow.runs import Runs

pytestmark = pytest.mark.slow
PARAMS = {
    "scale/tiny.yaml": "pretrain: [mine/ar, mine/teacher]\nseeds: [0, 1]\njudge: null\n"
    "ablations: [labels, pairs, judged]\n",
    "corpus/mine.yaml": "# @package _global_\ncorpus:\n"
    "  _target_: tcsm.data.corpora.local.LocalText\n  path: texts\n"
    "  normalize: {_target_: hydra.utils.get_object, path: tcsm.data.normalize.text8}\n"
    "  fractions: [0.9, 0.05, 0.05]\ndata: {root: results/data/mine}\n",
    "experiment/mine/ar.yaml": "# @package _global_\ndefaults:\n  - override /corpus: mine\n",
    "experiment/mine/teacher.yaml": "# @package _global_\ndefaults:\n  - override /corpus: mine\n"
    "  - override /objective: soft\n  - override /pretrained: masked\n"
    "pretrained: {net: {name: checkpoint}}\nteacher_run: null\n",
}

BRACES = "texts/a {x}.txt"  # to Snakemake a wildcard
# A file, and the jobs that it decides.
JOBS = {
    "texts/b/c d.txt": {"prepare"},
    BRACES: {"prepare"},
    "labels.jsonl": {"train labels/a"},
    "pairs.jsonl": {"collect pairs/a"},
    "words/tokenizer.json": {"collect pairs/a"},
    "checkpoint/model.safetensors": {"train mine/teacher"},
    "elsewhere/judge/weights.safetensors": {"evaluate judged/a"},
}


def plan(stages: str, *lines: str) -> str:
    """A question of one variant."""
    output = {"experiment": "mine/ar", "stages": [stages], "overrides": list(lines)}
    return json.dumps({**output, "axes": {"variant": {"a": []}}})


ABLATIONS = {
    "labels": plan(
        "train", "experiment=reward/testaments", "labels=jsonl", "labels.path=labels.jsonl"
    ),
    "pairs": plan(
        "collect",
        "preferences=pairs.jsonl",
        "tokenizer=gpt2",
        "tokenizer.path=words",
        "data.root=results/data/words",
    ),
    "judged": plan(
        "evaluate", "metric=[rewards]", "reward=classifier", "reward_run=elsewhere/judge"
    ),
}
# What a stage of a variant reads.
READ = {
    ("train", "mine/ar"): (),
    ("train", "mine/teacher"): ("checkpoint/config.json", "checkpoint/model.safetensors"),
    ("train", "labels/a"): ("labels.jsonl",),
    ("collect", "pairs/a"): ("pairs.jsonl", "words/tokenizer.json"),
    ("evaluate", "judged/a"): (
        "elsewhere/judge/config.yaml",
        "elsewhere/judge/weights.safetensors",
    ),
}
FILES = (
    *{file for files in READ.values() for file in files},
    "texts/a.txt",
    "texts/b/c d.txt",
    BRACES,
)
LITTER = (
    "texts/.hidden",
    "words/model.safetensors",
    "checkpoint/.cache/x",
    "elsewhere/judge/x.jsonl",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Params of the real ones and a few of our own, and files that they name."""
    folder = tmp_path_factory.mktemp("inputs")
    params = folder / "params"
    for path in (TOP / "params").rglob("*.yaml"):
        if path.parts[-2] != "ablation":
            (params / path.relative_to(TOP / "params")).parent.mkdir(parents=True, exist_ok=True)
            (params / path.relative_to(TOP / "params")).write_bytes(path.read_bytes())
    smoke = (params / "scale/smoke.yaml").read_text("utf-8").split("\n")
    own = {line.partition(":")[0] for line in PARAMS["scale/tiny.yaml"].split("\n")}
    kept = [line for line in smoke if line.partition(":")[0] not in own]
    written = dict(PARAMS)
    written["scale/tiny.yaml"] += "\n".join(kept).replace("name: smoke", "name: tiny")
    written |= {f"ablation/{name}.yaml": text for name, text in ABLATIONS.items()}
    for name, text in written.items():
        (params / name).parent.mkdir(parents=True, exist_ok=True)
        (params / name).write_text(text, "utf-8")
    for name in (*FILES, *LITTER):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"in the beginning {name}", "utf-8")
    return folder


def codes(checkout: Path) -> dict[str, str]:
    """The fingerprint of every job, as a new start finds it."""
    runs = Runs("tiny")
    actual = {f"{stage} {name}": runs.code(stage, [name]) for stage, name in READ}
    return actual | {"prepare": runs.corpus("results/data/mine")[1]}


def read(stage: str, text: str, paths: list[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(read_by(stage, text, paths, "results/tiny"))


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {key for key in before if before[key] != after[key]}


def test_every_file_that_a_job_reads_is_its_input(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    runs = Runs("tiny")
    for (stage, name), expected in READ.items():
        assert read(stage, *runs.texts(name, stage)) == expected
    corpus = (BRACES, "texts/a.txt", "texts/b/c d.txt")
    assert read("prepare", *runs.texts("mine/ar", "prepare")) == corpus
    assert runs.code("train", ["mine/ar"]).count(" ") == 0
    assert runs.code("train", ["mine/teacher"]).count(" ") == 1


def test_a_content_reruns_what_reads_it_and_a_time_nothing(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    before = codes(checkout)
    for file in FILES:
        os.utime(file)
    for file in LITTER:
        Path(file).write_text("other", "utf-8")
    assert codes(checkout) == before
    for file, jobs in JOBS.items():
        old = os.stat(file).st_mtime_ns - 10**12
        Path(file).write_text("and god said", "utf-8")
        os.utime(file, ns=(old, old))  # as of an older file that was moved here
        after = codes(checkout)
        assert changed(before, after) == jobs
        before = after


def test_a_file_more_or_less_of_a_corpus_is_another_corpus(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    before = codes(checkout)
    Path("texts/more.txt").write_text("and god said", "utf-8")
    assert changed(before, codes(checkout)) == {"prepare"}
    Path("texts/more.txt").unlink()
    assert codes(checkout) == before


def test_names_of_others_are_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = {
        "_target_": "tcsm.nets.hub.Pretrained",
        "name": "openai-community/gpt2",
        "revision": "a",
    }
    symbols = {"_target_": "hydra.utils.get_object", "path": "tcsm.data.normalize.text8"}
    actual = [
        *possible_paths({"net": {"inner": [net], "normalize": symbols, "name": "net"}, "seed": 1})
    ]
    names = [("net", "net"), ("net", "openai-community/gpt2"), ("net", symbols["path"])]
    assert sorted(actual) == names
    assert files([*actual, ("net", "x" * 5000), ("net", "a\0b")], "results/tiny") == []
    Path("results/tiny/ar").mkdir(parents=True)
    Path("results/tiny/ar/config.yaml").write_text("a: 1", "utf-8")
    assert files([("reference", "results/tiny/ar")], "results/tiny") == []


def test_links_that_lead_in_circles_end(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "up").symlink_to("..")
    (tmp_path / "a" / "x.txt").write_text("x")
    actual = files([("corpus", str(tmp_path))], str(tmp_path / "made"))
    assert actual == [str(tmp_path / "a" / "x.txt")]
