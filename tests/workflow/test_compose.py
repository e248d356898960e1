"""What the workflow composes is what Hydra composes, and is kept on disk."""

import pytest
from omegaconf import OmegaConf

from tcsm import config
from tcsm.config.defaults import kept
from tcsm.errors import InputError
from workflow.ablations import Variant
from workflow.compose import CACHE, Compositions, remember

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
    text = OmegaConf.to_yaml(config.cut(OmegaConf.merge(expected, values), made.reads("train")))
    made_text, paths = made.text(variant, "train", values)
    assert made_text == text
    assert ("corpus", "a=b.txt") in map(tuple, paths) or "corpus=local" not in lines
    assert made._cfg(variant) == expected
    again, _ = Compositions("smoke").text(variant, "train", values)
    assert again == made_text


@pytest.mark.parametrize("line", ["net.none=1", "seed=1,2", "divergence=none", "+hydra.a=1"])
def test_what_does_not_fit_is_refused_as_by_hydra(made, line):
    lines = ("experiment=kjv/score", line)
    with pytest.raises(InputError) as expected:
        config.compose(["scale=smoke", *lines])
    with pytest.raises(InputError) as error:
        made.facts(Variant("a/b", lines, ("train",)))
    assert str(error.value) == str(expected.value)


def test_what_is_kept_is_not_made_again_unless_damaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert remember("key", lambda: "a value") == "a value"
    assert remember("key", pytest.fail) == "a value"
    (file,) = CACHE.iterdir()
    content = file.read_bytes()
    for at in range(len(content)):
        for damaged in (content[:at], content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]):
            file.write_bytes(damaged)
            assert remember("key", lambda: "made") == "made"
