"""No file of a run, of a checkpoint or of data can run code when it is read."""

import json
import pickle
import re
from pathlib import Path

import pytest
import torch

from tcsm.data.buffer import read_buffer
from tcsm.data.embeddings import Contexts
from tcsm.data.tokenfile import open_tokens
from tcsm.data.tokenizers import Bytes, HuggingFace
from tcsm.errors import InputError
from tcsm.models.teacher import Tabulated
from tcsm.nets.hub import Pretrained
from tcsm.rewards.classifier import Classifier
from tcsm.rewards.hub import HubClassifier
from tcsm.runs.teachers import CachedTeacher
from tcsm.training.checkpoint import load, load_weights
from tests.checkpoints import save
from tests.security.payload import plant, plant_torch

TOP = Path(__file__).parents[2]
PLANTS = pytest.mark.parametrize("planted", [plant, plant_torch])
DANGEROUS = re.compile(
    r"\b(pickle|joblib|marshal|shelve|dill|cloudpickle)\b|torch\.load\(|allow_pickle|read_pickle"
    r"|yaml\.(load_all|full_load|unsafe_load)\(|yaml\.load\((?!.*Loader=FAST\))"
    r"|yaml\.(?!C?SafeLoader)\w*Loader|trust_remote_code=True"
    r"|(?<![\w.])(eval|exec|compile|__import__)\(|os\.(system|popen)\("
    r"|shell=True|getoutput"
)
READERS = {
    "weights": ("weights.safetensors", lambda path: load_weights(path, torch.nn.Linear(1, 1))),
    "state": ("state.safetensors", load),
    "rewards": ("rewards.safetensors", lambda path: read_buffer(path.parent, Bytes())),
    "tokens": ("train.tok", lambda path: open_tokens(path, Bytes())),
    "embeddings": ("train.tok", lambda path: Contexts(str(path.parent))()),
    "classifier": (
        "weights.safetensors",
        lambda path: Classifier(str(path.parent))(["a"]),
    ),
    "network of the hub": (
        "pytorch_model.bin",
        lambda path: Pretrained(name=str(path.parent), vocabulary=3, causal=True, extra=3),
    ),
    "classifier of the hub": (
        "pytorch_model.bin",
        lambda path: HubClassifier(str(path.parent), 0).model,
    ),
}


@pytest.fixture
def mark(tmp_path):
    """What the payload would make."""
    path = tmp_path / "it ran"
    yield path
    assert not path.exists()


def test_the_payload_works(tmp_path):
    plant(tmp_path / "a", tmp_path / "it ran")
    pickle.loads((tmp_path / "a").read_bytes())
    assert (tmp_path / "it ran").exists()


@PLANTS
@pytest.mark.parametrize("reader", READERS)
def test_a_pickle_in_the_place_of_a_file_is_refused(reader, planted, tmp_path, mark):
    name, read = READERS[reader]
    folder = tmp_path / "folder"
    if name.endswith(".bin"):
        save(folder, causal=True, vocabulary=4, places=8)
        (folder / "model.safetensors").unlink()
    if reader == "rewards":
        _tokens(folder)
    planted(folder / name, mark)
    with pytest.raises(InputError):
        read(folder / name)


@PLANTS
def test_a_kept_answer_is_made_anew(planted, tmp_path, mark, capsys):
    teacher = Tabulated(torch.full((2, 2), 0.25).log())
    answers = CachedTeacher(teacher, "teacher", tmp_path / "cache")
    x, sites = torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool)
    first = answers.log_conditionals(x, sites)
    (file,) = (tmp_path / "cache").rglob("*.safetensors")
    planted(file, mark)
    assert torch.equal(answers.log_conditionals(x, sites), first)
    assert "damaged" in capsys.readouterr().err


@PLANTS
def test_a_pickle_beside_the_safetensors_is_not_looked_at(planted, tmp_path, mark):
    save(tmp_path / "folder", causal=True, vocabulary=4, places=8)
    planted(tmp_path / "folder" / "pytorch_model.bin", mark)
    Pretrained(name=str(tmp_path / "folder"), vocabulary=3, causal=True, extra=3)


@pytest.mark.parametrize("kind", ["AutoModelForCausalLM", "AutoTokenizer"])
def test_the_code_of_a_checkpoint_is_not_run(kind, tmp_path, mark):
    """Files of the hub may bring Python of their own, and ask to be trusted."""
    save(tmp_path, causal=True, vocabulary=4, places=8)
    for name in ("config.json", "tokenizer_config.json"):
        path = tmp_path / name
        facts = json.loads(path.read_text()) if path.exists() else {}
        facts |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", kind: "own.Own"}}
        path.write_text(json.dumps(facts))
    (tmp_path / "own.py").write_text(f"import os\nos.mkdir({str(mark)!r})\nclass Own: pass\n")
    network = {"name": str(tmp_path), "vocabulary": 3, "causal": True, "extra": 3}
    with pytest.raises(InputError):
        HuggingFace(tmp_path, 3) if kind == "AutoTokenizer" else Pretrained(**network)


def test_the_sources_have_no_way_to_run_data():
    """Nothing of ours unpickles, evaluates, or starts a shell."""
    folders = ("tcsm", "workflow", "benchmarks")
    files = [path for name in folders for path in (TOP / name).rglob("*")]
    files = [path for path in files if path.suffix in (".py", ".smk")] + [TOP / "Snakefile"]
    assert len(files) > 150
    actual = [
        f"{path.relative_to(TOP)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if DANGEROUS.search(line)
    ]
    assert actual == []


@pytest.mark.parametrize(
    "line", ["torch.load(f)", "yaml.load(t)", "eval(a)", "run(c, shell=True)"]
)
def test_the_scan_sees_what_it_looks_for(line):
    assert DANGEROUS.search(line)
    assert not DANGEROUS.search("model.eval()")


def _tokens(folder):
    """A good collection, whose rewards alone are bad."""
    from tcsm.data.tokenfile import Piece, describe, write_tokens
    from tcsm.io.layout import TOKENS

    folder.mkdir()
    rows = torch.zeros(1, 4, dtype=torch.uint8).numpy()
    write_tokens(folder / TOKENS, (Piece(row, 4) for row in rows), describe(Bytes(), "t", "c"))
