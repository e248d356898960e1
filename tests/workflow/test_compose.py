"""What the workflow composes is what Hydra composes, and is kept on disk."""

import pytest
from omegaconf import OmegaConf

from tcsm import config
from tcsm.errors import InputError
from tcsm.runs.defaults import kept
from workflow.ablations import Variant
from workflow.compose import CACHE, Compositions, in_ascii

LINES = [
    ("divergence=bce", "trainer.steps=7", "++note.deep=[1,2]"),
    ("path=uniform", "trainer.learning_rate=1e-3", "net.dim=8", "corpus=text8"),
    ("corpus.path=a=b.txt", "corpus=local", "data.root=~/tokens", "+extra.key=1"),
]


@pytest.fixture
def made(tmp_path, monkeypatch):
    params = config.params_folder()
    monkeypatch.setattr(config, "params_folder", lambda: params)
    monkeypatch.chdir(tmp_path)
    return Compositions("smoke")


@pytest.mark.parametrize("lines", LINES)
def test_variants_are_composed_as_by_hydra(made, lines):
    variant = Variant("a/b", ("experiment=kjv/score", *lines), ("train",), (("axis", "b"),))
    expected = config.compose(["scale=smoke", *variant.overrides])
    OmegaConf.set_struct(expected, False)
    expected.experiment, expected.axes = variant.name, dict(variant.axes)
    expected.overrides = kept(["scale=smoke", *variant.overrides])
    values = {"out": "here", "seed": 1}
    keys = [*made.reads("train"), *(key for key in ("note", "extra") if key in expected)]
    text = config.cut(OmegaConf.merge(expected, values), made.reads("train"))
    assert made.texts(variant, ["train"], values) == {"train": in_ascii(text)}
    tree = made._tree(variant)
    assert {k: tree[k] for k in tree.keys() & {*keys}} == OmegaConf.to_container(
        OmegaConf.masked_copy(expected, [*(tree.keys() & {*keys})])
    )


@pytest.mark.parametrize("line", ["net.none=1", "seed=1,2", "divergence=none", "+hydra.a=1"])
def test_what_does_not_fit_is_refused_as_by_hydra(made, line):
    lines = ("experiment=kjv/score", line)
    with pytest.raises(InputError) as expected:
        config.compose(["scale=smoke", *lines])
    with pytest.raises(InputError) as error:
        made.facts(Variant("a/b", lines, ("train",)))
    assert str(error.value) == str(expected.value)


def test_what_is_kept_is_not_made_again_unless_damaged(made):
    assert made.remember("key", lambda: "a value") == "a value"
    assert Compositions("smoke").remember("key", pytest.fail) == "a value"
    (file,) = (file for file in CACHE.iterdir() if b"a value" in file.read_bytes())
    content = file.read_bytes()
    for at in range(len(content)):
        file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert made.remember("key", lambda: "made") == "made"
        file.write_bytes(content[:at])
        assert made.remember("key", lambda: "made") == "made"


@pytest.mark.parametrize(
    "value", ["β = 1", "−", "😀 \n x: y", "1e3", "null", 'a "b"', " λ ", "a\u2028b"]
)
def test_other_characters_are_escaped_and_mean_the_same(value):
    tree = {"title": value, "λ": [value, 1, 0.5, 1e-07, None, True], "plain": "1e5", "none": {}}
    text = in_ascii(OmegaConf.to_yaml(OmegaConf.create(tree)))
    assert text.isascii()
    assert OmegaConf.to_container(OmegaConf.create(text)) == tree
    assert in_ascii("a: b\n") == "a: b\n"
