"""Students from the command line: a run teaches another, its answers are kept, nothing is lost."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tcsm.runs.teachers import prune
from tests.checkpoints import save
from tests.held import until
from tests.stages.house import House
from tests.stages.test_resume import kill, lines

pytestmark = pytest.mark.slow

STUDENT = "experiment=kjv/soft_hollow"
WAYS = ("teacher=exact", "teacher=top_k", "teacher=taylor", "teacher=one_sided")
UNIFORM = ("path=uniform", "model=leave_one_out", "net.extra=0", "corruption=time", "bound=time")
RESULTS = ("weights.safetensors", "metrics.jsonl", "train.json")


@pytest.fixture(scope="session")
def teachers(trained):
    """Trained teachers by name, as overrides."""
    return lambda name: f"teacher_run={trained(name)}"


def results(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in RESULTS]


def costs(folder: Path) -> dict[str, float]:
    times = json.loads((folder / "train.telemetry.json").read_text())
    return {key: times[f"targets_{key}_seconds"] for key in ("cpu", "spared_cpu")}


def answers(house: House) -> set[Path]:
    return set((house.root / "cache").rglob("*.safetensors"))


@pytest.mark.parametrize("name", ["teacher/hollow", "teacher/masked_lm", "teacher/bert"])
def test_a_teacher_of_conditionals_teaches(house, teachers, name):
    house.good("train", STUDENT, teachers(name), "trainer.steps=2", name="pupil")


@pytest.mark.parametrize(
    ("name", "way"), [*(("kjv/ar", way) for way in WAYS), ("teacher/gpt2", "teacher=taylor")]
)
def test_an_autoregressive_teacher_teaches(house, teachers, name, way):
    house.good("train", STUDENT, teachers(name), way, "trainer.steps=2", name="pupil")


def test_a_denoiser_is_distilled(house, teachers):
    house.good("train", STUDENT, teachers("kjv/distribution"), "teacher=together", name="pupil")
    house.good("evaluate", STUDENT, name="pupil")


def test_uniform_noise_can_be_taught(house, teachers):
    house.good("train", STUDENT, teachers("teacher/hollow"), *UNIFORM, name="pupil")


def test_students_of_the_same_batches_share_answers(house, teachers):
    given = (STUDENT, teachers("teacher/hollow"))
    first = house.good("train", *given, name="first")
    kept = answers(house)
    assert len(kept) == 6
    second = house.good("train", *given, name="second")
    house.good("train", *given, "objective.hard=0.5", "soft=brier", name="third")
    assert answers(house) == kept
    assert results(first) == results(second)
    assert costs(first)["cpu"] > 0 == costs(first)["spared_cpu"]
    for name in ("second", "third"):
        actual = costs(house.root / name)
        assert actual == {"cpu": 0, "spared_cpu": pytest.approx(costs(first)["cpu"])}
    house.good("train", *given, "teacher.temperature=2.0", name="third")
    house.good("train", *given, "seed=1", name="third")
    assert len(answers(house)) == 18
    house.good("train", *given, "objective.top=2", name="third")
    few = answers(house) - kept
    assert len(few) == 18
    assert sum(path.name.endswith("-top2.safetensors") for path in few) == 6


def test_answers_need_not_be_kept(house, teachers):
    given = (STUDENT, teachers("teacher/hollow"), "trainer.steps=2")
    rounded = house.good("train", *given, name="rounded")
    before = answers(house)
    exact = house.good("train", *given, "targets.cache=null", name="exact")
    assert answers(house) == before
    losses = [
        json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["loss"]
        for folder in (rounded, exact)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert losses[0] != losses[1]


def test_a_damaged_answer_is_named_and_made_anew(house, teachers):
    given = (STUDENT, teachers("teacher/hollow"))
    sound = results(house.good("train", *given, name="sound"))
    damages = (
        lambda content: content[:-5],
        lambda content: b"",
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    )
    for path, damage in zip(sorted(answers(house)), damages * 2, strict=True):
        path.write_bytes(damage(path.read_bytes()))
    done = house.run("train", *given, name="again")
    assert done.code == 0
    assert len(done.err) == 6
    assert all("damaged" in line for line in done.err)
    assert results(house.root / "again") == sound
    assert house.run("train", *given, name="third").err == []


def test_a_killed_student_ends_as_an_undisturbed_one(house, teachers, gate):
    given = (STUDENT, teachers("teacher/hollow"), "trainer.steps=24", "trainer.log_every=1")
    given += ("trainer.checkpoint_every=7", "targets.limit_mib=1")
    unbroken = house.good("train", *given, name="unbroken-student")
    shutil.rmtree(house.root / "cache")
    given += gate.overrides
    gate.close(17)
    with house.started("train", *given, name="killed-student") as process:
        metrics = house.root / "scratch/killed-student/metrics.jsonl"
        until(lambda: lines(metrics) >= 15, process)
        kill(process)
    gate.open()
    out = house.good("train", *given, name="killed-student")
    assert results(out) == results(unbroken)
    rows = [json.loads(line) for line in (out / "telemetry.jsonl").read_text().splitlines()]
    made = [row["targets_cpu_seconds"] for row in rows]
    assert len(made) == 24
    assert made == sorted(made)


def test_the_teacher_stays_as_it_was_and_out_of_the_weights(house, trained, teachers):
    given = teachers("teacher/hollow")
    file = trained("teacher/hollow") / "weights.safetensors"
    before = file.read_bytes()
    student = house.good("train", STUDENT, given, name="pupil")
    plain = house.good("train", "experiment=kjv/distribution", name="plain")
    assert file.read_bytes() == before
    names = [set(safe_open(run / "weights.safetensors", "pt").keys()) for run in (student, plain)]
    assert names[0] == names[1]


def test_the_cache_is_bounded(tmp_path):
    for number in range(5):
        path = tmp_path / f"teacher-{number % 2}/{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (number, number))
    prune(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["3", "4"]


def test_half_precision_changes_no_target_by_a_thousandth():
    """Total variation by rounding log-probabilities to float16, from flat to nearly certain."""
    torch.manual_seed(0)
    for scale in (0.1, 1, 5, 20):
        for size in (27, 50_257):
            log_p = (scale * torch.randn(64, size)).log_softmax(-1)
            rounded = log_p.half().float().log_softmax(-1)
            error = (rounded.exp() - log_p.exp()).abs().sum(-1).max() / 2
            assert error < 1e-3 * (3 if size > 27 else 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "teacher_run"),
        (["teacher_run=nowhere"], "teacher_run"),
        (["objective=distribution", "teacher_run=x"], "DistributionMatching"),
        (
            ["teacher/hollow", "teacher=taylor"],
            "teacher=taylor",
        ),
        (["kjv/ar"], "teacher=plain"),
        (["teacher/bert", "data.length=17"], "data.length"),
        (["kjv/ar", "teacher=top_k", "teacher.k=28"], "teacher.k"),
        (["kjv/uniform", "teacher=together", *UNIFORM], "path=mask"),
        (["teacher/hollow", "teacher.temperature=0.0"], "teacher.temperature"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused_before_a_step(house, teachers, given, said):
    given = [part if "=" in part else teachers(part) for part in given]
    done = house.run("train", STUDENT, *given, name="refused")
    assert done.code == 2
    assert said in done.err[-1], done.err
    assert not (house.root / "refused").exists()
    assert not (house.root / "scratch/refused").exists()


def test_a_teacher_of_other_tokens_or_other_weights_is_refused(house, trained):
    copy = house.copy(trained("teacher/hollow"), "bent")
    text = (copy / "config.yaml").read_text()
    for old, new, output in (
        ("tokenizers.Letters", "tokenizers.Bytes", "trained on tokens of bytes, wanted letters"),
        ("depth: 1", "depth: 2", "is of architecture"),
    ):
        (copy / "config.yaml").write_text(text.replace(old, new))
        done = house.run("train", STUDENT, f"teacher_run={copy}", name="refused")
        assert done.code == 2
        assert output in done.err[-1], done.err


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_checkpoint_teaches_on_collected_texts(house, teachers, tmp_path, share):
    """Texts that an autoregressive run wrote, whole or half of a batch; another model teaches."""
    torch.manual_seed(0)
    save(tmp_path, causal=True, vocabulary=28, places=20)
    written = teachers("kjv/ar").replace("teacher_run", "reference")
    drawn = house.good("collect", "experiment=buffer/ar", written, name="written")
    given = [f"pretrained.net.name={tmp_path}", "pretrained.net.extra=27", "teacher=taylor"]
    fed = [f"collected={drawn}", "batches=collected", "tilt=even", f"batches.share={share}"]
    house.good("train", STUDENT, "pretrained=causal", *given, *fed, name="fed")


@pytest.mark.parametrize("causal", [True, False])
def test_a_checkpoint_teaches(house, tmp_path, causal):
    """A folder of `transformers` that numbers letters as we do, the extra state 27."""
    torch.manual_seed(0)
    save(tmp_path, causal=causal, vocabulary=28, places=20)
    name = f"pretrained={'causal' if causal else 'masked'}"
    given = [STUDENT, name, f"pretrained.net.name={tmp_path}", "pretrained.net.extra=27"]
    around = [] if causal else ["pretrained.net.before=[1]", "pretrained.net.after=[2]"]
    way = ["teacher=top_k"] if causal else []
    house.good("train", *given, *around, *way, name="pupil")
    for wrong, output in (
        ("pretrained.net.extra=28", "net.tokens must be 27 or more numbers below 28"),
        (f"pretrained.net.name={tmp_path / 'none'}", "cannot be loaded"),
        ("teacher_run=x", "teacher_run: found pretrained, too"),
        ("data.length=21", "data.length must be"),
    ):
        done = house.run("train", *given, *around, *way, wrong, name="refused")
        assert done.code == 2
        assert output in done.err[-1], done.err
