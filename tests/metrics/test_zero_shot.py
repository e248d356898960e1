"""Zero-shot sets: detokenized, in the tokens of the run, and the record says how."""

import json
from dataclasses import dataclass, field

import pytest
import torch

from tcsm.data import detokenize
from tcsm.data.normalize import verbatim
from tcsm.data.tokenizers import Bytes
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound, Draws
from tcsm.metrics.base import Evaluated
from tcsm.metrics.zero_shot import ZeroShot
from tcsm.runs.run import Run
from tcsm.training.devices import Devices

SET = {"name": "some/words", "config": None, "part": "test", "revision": "main", "column": "text"}


@dataclass(frozen=True)
class Two(Bound):
    """Two nats a token; it keeps what it is asked for."""

    seen: list = field(default_factory=list)

    def __call__(self, model, x_1, ids, seed, draws=1):
        self.seen.extend(map(bytes, x_1.tolist()))
        nats = torch.full((len(x_1), draws), 2.0 * x_1.shape[1]).double()
        return Draws(nats, nats * torch.nan, nats)

    def check(self, model):
        pass


def evaluated(tmp_path, length=4):
    return Evaluated(
        run=Run(tmp_path),
        out=tmp_path,
        seed=0,
        length=length,
        model=torch.nn.Identity(),
        tokenizer=Bytes(),
        devices=Devices("cpu"),
        data=tmp_path,
        open_split=print,
        open_model=print,
        open_teacher=print,
    )


def metric(path, sequences=9, detokenizer=verbatim, between=None):
    return ZeroShot(
        bound=Two(),
        sequences=sequences,
        draws=2,
        batch=4,
        path=None if path is None else str(path),
        detokenize=detokenizer,
        between=between,
        **SET,
    )


def test_rows_are_joined_and_cut_without_overlap(tmp_path):
    path = tmp_path / "words.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ["ab ,", "", "cdefgh"]))
    one = metric(path, detokenizer=detokenize.spaced)
    fields = one(evaluated(tmp_path))().fields
    assert one.bound.seen == [b"ab,\n", b"defg"]
    test = fields["splits"]["test"]
    assert test["ppl_token"] == pytest.approx(2.718281828**2)
    assert (test["sequences"], test["tokens"], test["characters"]) == (2, 8, 8)
    output = fields["protocol"]
    assert (output["text"], output["detokenizer"], output["tokens"]) == (str(path), "spaced", 10)
    joined = metric(path, sequences=1, between="--")
    joined(evaluated(tmp_path))()
    assert joined.bound.seen == [b"ab ,"]


def test_text_that_is_none(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "abc"}\n{"other": 1}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:2: 'text'.*None"):
        metric(tmp_path / "a.jsonl")(evaluated(tmp_path))
    (tmp_path / "b.txt").write_text("abc")
    with pytest.raises(InputError, match=r"b\.txt: 3 tokens.*data\.length = 4"):
        metric(tmp_path / "b.txt")(evaluated(tmp_path))


def test_the_hub_offline_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(InputError, match=r"some/words.*\[hub\].*path"):
        metric(None)(evaluated(tmp_path))


@pytest.mark.parametrize(
    ("name", "text", "plain"),
    [
        ("wikitext", " = = A = = ", "== A =="),
        ("wikitext", ' 1 @,@ 000 ( or so ) of it \'s " so " @-@ called . ', None),
        ("penn", " the <unk> is n't $ N million a\\/b ", "the ? isn't $1 million a/b"),
        (
            "news",
            'He said : " No ! " for $ 5 ( http : / / a ) .',
            'He said: "No!" for $5 (http://a).',
        ),
        ("lambada", " \u201cHi\u201d ", '\n"Hi"'),
    ],
)
def test_detokenizers(name, text, plain):
    plain = plain or '1,000 (or so) of it\'s "so"-called.'
    assert getattr(detokenize, name)(text) == plain
