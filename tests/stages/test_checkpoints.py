"""Checkpoints and networks of others, from the command line: one line, before anything is made."""

import json

import pytest
import torch
from torch import nn

from tcsm.data.tokenizers import Letters
from tcsm.nets.base import Net
from tests.checkpoints import make
from tests.stages.house import LENGTH

pytestmark = pytest.mark.slow

SOFT = "experiment=kjv/soft_hollow"


class Wide(Net):
    """A network of a user's; by default with a column for the mask."""

    def __init__(
        self, vocabulary: int, columns: int, dropped: float = 0.0, reads: int = 0
    ) -> None:
        super().__init__()
        self.vocabulary, self.states = vocabulary, vocabulary + 1
        self.causal, self.timed, self.chunk = False, False, None
        self.table = nn.Embedding(vocabulary + 1 - reads, 8)
        self.drop = nn.Dropout(dropped)
        self.head = nn.Linear(8, columns)

    def features(self, x, t, rows):
        return self.drop(self.table(x)).flatten(0, 1).index_select(0, rows)


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setenv("TCSM_TARGETS", __name__)


def mine(columns, **more):
    """The configuration of a run with a network of ours in place of the experiment's."""
    fields = {"_target_": f"{__name__}.Wide", "vocabulary": 27, "columns": columns, **more}
    net = ", ".join(f"{key}: {value}" for key, value in fields.items())
    return ["experiment=kjv/mdlm", "~net", f"+net={{{net}}}"]


def refusal(house, stage, *given, name="refused"):
    done = house.run(stage, *given, name=name)
    assert done.code == 2, done.err
    assert len(done.err) == 1
    assert not (house.root / name).exists()
    return done.err[0]


def test_a_network_with_a_column_for_the_mask_is_refused(house):
    line = refusal(house, "train", *mine(28))
    assert "net: Wide gives 28 logits per position, wanted 27" in line


def test_a_network_that_fails_is_one_line(house):
    assert "net: Wide cannot read" in refusal(house, "train", *mine(27, reads=28))


def test_a_network_of_ones_own_trains_and_is_evaluated(house):
    """Its dropout draws nothing while its width is asked."""
    house.good("train", *mine(27, dropped=0.1), name="own")
    house.good("evaluate", *mine(27, dropped=0.1), name="own")


@pytest.fixture
def checkpoint(tmp_path):
    def folder(family="gpt2", **settings):
        make(family, vocabulary=28, **settings).save_pretrained(tmp_path)
        return tmp_path

    return folder


def asked(folder, *more, group="causal", way="one_sided"):
    given = [SOFT, f"pretrained={group}", f"pretrained.net.name={folder}", f"teacher={way}"]
    around = ["pretrained.net.before=[]", "pretrained.net.after=[]"] if group == "masked" else []
    return [*given, "pretrained.net.extra=27", *around, *more]


@pytest.mark.parametrize("family", ["gemma3", "longformer"])
def test_other_families_teach(house, checkpoint, family):
    masked = family == "longformer"
    given = {"group": "masked", "way": "plain"} if masked else {}
    house.good("train", *asked(checkpoint(family), "trainer.steps=2", **given), name=family)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["pretrained.net.dtype=int8"], "pretrained.net.dtype"),
        (["pretrained.net.vocabulary=26"], "pretrained.net.vocabulary"),
        ([f"+pretrained.net.tokens={[0, *range(26)]}"], "pretrained.net.tokens: 0"),
    ],
)
def test_a_checkpoint_that_does_not_fit_names_the_key_of_the_user(house, checkpoint, more, said):
    assert said in refusal(house, "train", *asked(checkpoint(), *more))


def test_a_text_longer_than_the_positions_of_roberta(house, checkpoint):
    """It has as many positions as our texts tokens, and leaves out one."""
    folder = checkpoint("roberta", places=LENGTH)
    line = refusal(house, "train", *asked(folder, group="masked", way="plain"))
    assert f"data.length must be {LENGTH - 1} or less" in line


def test_a_length_that_a_checkpoint_fails_at(house, checkpoint):
    """Its configuration promises more than its table of positions has."""
    folder = checkpoint("opt", places=8)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 64}))
    line = refusal(house, "train", *asked(folder))
    assert "pretrained.net.name" in line
    assert str(folder) in line


def test_tokenizers_are_compared_at_the_revision_of_the_checkpoint(monkeypatch):
    from omegaconf import OmegaConf

    from tcsm.config import Unbuilt
    from tcsm.runs import teachers

    compared = []

    class Known(Letters):
        def __init__(self, path="", size=27, revision="main"):
            compared.append((path, revision))

    monkeypatch.setattr(teachers, "HuggingFace", Known)
    net = {"name": "some/model", "revision": "abc"}
    teachers._require_same_numbers(Unbuilt(OmegaConf.create({"net": net})), Known())
    assert compared[-1] == ("some/model", "abc")


def test_dropout_of_a_checkpoint_does_not_act(house, checkpoint):
    """Whatever torch would draw: the same answers twice."""
    folder = checkpoint("gpt2", resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5)
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        given = asked(folder, "trainer.steps=2", "targets.cache=null")
        out = house.good("train", *given, name=f"dropout{seed}")
        text = (out / "metrics.jsonl").read_text()
        losses.append([json.loads(line).get("loss") for line in text.splitlines()])
    assert losses[0] == losses[1]
