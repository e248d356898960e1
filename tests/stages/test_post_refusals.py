"""Bad input of post-training: told in one line before anything is trained or written."""

import json
import shutil

import numpy as np
import pytest

from tcsm.io.records import write_json
from tests.checkpoints import save
from tests.stages.house import LENGTH
from tests.stages.test_refusals import refusal

pytestmark = pytest.mark.slow

MODEL = "kjv/distribution"
RATIO = ("objective=density_ratio", "divergence=bce")
SOFT = "experiment=kjv/soft_hollow"
FED = ("batches=collected", "tilt=even")
HERE = "reward.path=tests.stages.test_post_refusals"


# --- rewards: functions that a user might write ------------------------------------------------


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setenv("TCSM_TARGETS", __name__)


def nan(texts):
    return [float("nan") if at == 3 else 1.0 for at in range(len(texts))]


def infinite(texts):
    return [float("-inf") if at == 7 else 1.0 for at in range(len(texts))]


def wide(texts):
    return np.zeros((len(texts), 2))


def short(texts):
    return np.zeros(max(1, len(texts) - 1))


def raising(texts):
    raise KeyError("no such word")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nan", ["reward Function: gave nan for text 3: '"]),
        ("infinite", ["reward Function: gave -inf for text 7: '"]),
        ("wide", ["10", "for text 0: '"]),
        ("short", ["gave shape (9,) for 10 texts, one number each"]),
        ("raising", ["KeyError", "'no such word'"]),
        ("missing", ["reward.path: ", "cannot be imported", "missing"]),
    ],
)
def test_a_bad_reward(house, trained, name, said):
    given = [f"reference={trained(MODEL)}", "reward=function", f"{HERE}:{name}"]
    line = refusal(house, "collect", *given)
    assert all(part in line for part in said), line


def test_a_bad_reward_of_samples(house, trained):
    line = refusal(
        house,
        "evaluate",
        f"evaluation.run={trained(MODEL)}",
        "metric=[rewards]",
        "reward=function",
        f"{HERE}:nan",
    )
    assert "gave nan for text 3: '" in line


def test_a_reward_that_was_not_trained(house, trained):
    given = [f"reference={trained(MODEL)}", "reward=classifier"]
    for folder in ("null", "nowhere"):
        assert "reward_run: " in refusal(house, "collect", *given, f"reward_run={folder}")


# --- collections -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(file_house, trained):
    """A collection of the tiny model."""
    return file_house.good("collect", f"reference={trained(MODEL)}", name="drawn")


@pytest.mark.parametrize("beta", ["0.0", "-1.0", "nan", "inf"])
def test_a_bad_beta(house, drawn, beta):
    line = refusal(house, "train", "batches=collected", f"collected={drawn}", f"tilt.beta={beta}")
    assert "tilt.beta must be a positive number, found " in line


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["collected=null"], ["collected: ", "found null"]),
        (["collected=nowhere"], ["nowhere/sequences.tok", "No such file", "run collect"]),
        ([f"data.length={LENGTH - 1}"], [f"{LENGTH} tokens, wanted data.length = {LENGTH - 1}"]),
        (["batches.share=1.5"], ["batches.share", "[0, 1]", "found 1.5"]),
        (["batches.share=0.01"], ["batches.share", "0.01", "data.batch"]),
    ],
)
def test_a_collection_that_cannot_be_fed(house, drawn, overrides, said):
    line = refusal(house, "train", *FED, f"collected={drawn}", *overrides)
    assert all(part in line for part in said), line


def test_a_collection_of_another_tokenizer_or_damaged(house, drawn, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(drawn, copy)
    content = (copy / "sequences.tok").read_bytes()
    (copy / "sequences.tok").write_bytes(content.replace(b"letters", b"pigeons"))
    line = refusal(house, "train", *FED, f"collected={copy}")
    assert f"{copy}/sequences.tok" in line
    (copy / "sequences.tok").write_bytes(content)
    weights = (copy / "rewards.safetensors").read_bytes()
    (copy / "rewards.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    line = refusal(house, "train", *FED, f"collected={copy}")
    assert line.startswith(f"{copy}/rewards.safetensors: damaged")


# --- references and starts ---------------------------------------------------------------------


@pytest.fixture
def bent(trained, tmp_path):
    """A copy of a trained run whose configuration a test may change."""
    shutil.copytree(trained(MODEL), tmp_path / "bent")

    def change(old, new):
        file = tmp_path / "bent/config.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        return tmp_path / "bent"

    return change


def test_a_reference_that_is_missing(house):
    assert refusal(house, "train", *RATIO).startswith("reference: found null; DensityRatio needs")
    line = refusal(house, "train", *RATIO, "reference=nowhere")
    assert line.startswith("reference: nowhere/config.yaml does not exist; train that run first")
    line = refusal(house, "train", "initial=nowhere")
    assert line.startswith("initial: nowhere/config.yaml does not exist; train that run first")
    assert "reference: nowhere/config.yaml" in refusal(house, "collect", "reference=nowhere")


def test_a_reference_of_another_data_set(house, bent):
    folder = bent("/text.txt", "/another.txt")
    record = json.loads((folder / "train.json").read_text())
    record["splits_sha256"]["train"] = "0" * 64  # the same tokens would be of a text that moved
    write_json(folder / "train.json", record)
    line = refusal(house, "train", *RATIO, f"reference={folder}")
    another = house.text.with_name("another.txt")
    assert all(
        word in line for word in ("reference: ", str(folder), str(another), str(house.text))
    )


def test_a_reference_whose_text_lay_elsewhere(house, bent, tmp_path):
    folder = bent("/text.txt", "/moved.txt")
    out = f"out={tmp_path / 'ratio'}"
    done = house.run("train", *RATIO, f"reference={folder}", "trainer.steps=2", out)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("key", "given"), [("reference", RATIO), ("initial", ()), ("teacher_run", (SOFT,))]
)
def test_a_run_of_another_tokenizer(house, bent, key, given):
    folder = bent("tokenizers.Letters", "tokenizers.Bytes")
    line = refusal(house, "train", *given, f"{key}={folder}")
    assert all(word in line for word in (f"{key}: ", str(folder), "bytes", "letters"))


def test_a_start_of_another_size(house, trained):
    line = refusal(house, "train", f"initial={trained(MODEL)}", "net.dim=32")
    assert line.startswith("initial: ")
    assert "weights.safetensors" in line


# --- teachers ----------------------------------------------------------------------------------


def test_a_teacher_that_is_missing(house):
    line = refusal(house, "train", SOFT)
    assert line.startswith("teacher_run: found null; name the folder of a teacher's run")
    line = refusal(house, "train", SOFT, "teacher_run=nowhere")
    assert line.startswith("teacher_run: nowhere/config.yaml does not exist")


def test_a_teacher_of_fewer_tokens(house, tmp_path):
    """A checkpoint of `transformers` with 20 tokens for 27 letters."""
    save(tmp_path, causal=True, vocabulary=20, places=LENGTH)
    given = [SOFT, "teacher=taylor", "pretrained=causal", f"pretrained.net.name={tmp_path}"]
    done = house.run("train", *given, "pretrained.net.extra=19", name="refused")
    assert done.code == 2
    assert "net.tokens must be 27 or more numbers below 20" in done.err[-1], done.err
    assert not (house.root / "refused").exists()


# --- objectives and their rows -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "batches", "said"),
    [
        ("preference_elbo", "corpus", ["Corpus", "ElboPaired", "batches=pairs"]),
        ("preference_winners", "collected", ["Collected", "Winners", "batches=pairs"]),
        ("preference_paired", "on_policy", ["OnPolicy", "Paired", "batches=pairs"]),
        ("guided_distillation", "corpus", ["Corpus", "GuidedDistillation", "batches=on_policy"]),
        ("weighted_likelihood", "collected", ["WeightedLikelihood", "batches=on_policy"]),
        ("policy_gradient", "pairs", ["Pairs", "PolicyGradient", "batches=on_policy"]),
        ("density_ratio", "pair_file", ["PairFile", "DensityRatio", "preference_elbo"]),
    ],
)
def test_an_objective_whose_rows_other_batches_give(house, objective, batches, said):
    """Before any file is opened: reference, collection and reward are missing, too."""
    given = [f"objective={objective}", f"batches={batches}", "reward=vader"]
    line = refusal(house, "train", *given)
    assert all(word in line for word in ("batches: ", "objective", *said)), line


# --- preferences -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"chosen": "a", "rejected": ', "not valid JSON"),
        ('["a", "b"]', "found list"),
        ('{"chosen": "a"}', "rejected must be a text"),
        ('{"chosen": "a", "rejected": 3}', "rejected must be a text"),
        ('{"chosen": "a", "rejected": "b", "best": 1}', "best"),
        ('{"chosen": "same", "rejected": "same"}', "both texts are the same"),
    ],
)
def test_a_bad_line_of_preferences(house, tmp_path, line, said):
    file, good = tmp_path / "pairs.jsonl", json.dumps({"chosen": "well", "rejected": "ill"})
    file.write_text(f"{good}\n{good}\n{line}\n{good}\n")
    message = refusal(house, "collect", f"preferences={file}")
    assert message.startswith(f"{file}:3: "), message
    assert said in message, message
