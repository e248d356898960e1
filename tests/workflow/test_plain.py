"""Plain trees say what Hydra and OmegaConf say, or that they cannot tell."""

import pytest
from omegaconf import OmegaConf

from tcsm import config
from tcsm.defaults import kept
from workflow.ablations import Arm, read
from workflow.compositions import Compositions
from workflow.plain import NotPlain, Plain, assigned, in_ascii, written

TREE = {
    "steps": 4,
    "rate": "${net.rate}",
    "name": "run-${steps}-${net.rate}",
    "net": {"dim": 8, "rate": 0.5, "tail": None, "sizes": [1, 2], "decay": {"_target_": "a"}},
    "part": "${net}",
    "deep": "${part.sizes[1]}",
}


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("steps=5", "steps", 5),
        ("net.rate=1e-3", "net.rate", 0.001),
        ("net.rate=null", "net.rate", None),
        ("net.tail={_target_: b, x: 1}", "net.tail", {"_target_": "b", "x": 1}),
        ("net.decay={_target_: c}", "net.decay", {"_target_": "c"}),
        ("net.sizes=[3]", "net.sizes", [3]),
        ("++net.new=true", "net.new", True),
        ("name='a, b'", "name", "a, b"),
        ("rate=${steps}", "rate", 4),
    ],
)
def test_a_value_is_set_and_the_tree_it_came_from_kept(line, key, value):
    before = repr(TREE)
    assert Plain(assigned(TREE, line))[key] == value
    assert repr(TREE) == before


@pytest.mark.parametrize(
    "line",
    [
        "none=1",
        "net.none=1",
        "part.dim=1",
        "~steps",
        "+net.new=1",
        "steps=1,2",
        "net.decay={x: 1}",
    ],
)
def test_what_is_not_plain_is_left_to_hydra(line):
    with pytest.raises(NotPlain):
        assigned(TREE, line)


def test_interpolations_are_omegaconfs():
    cfg, plain = OmegaConf.create(TREE), Plain(TREE)
    resolved = OmegaConf.to_container(cfg, resolve=True)
    assert {key: plain[key] for key in TREE} == resolved
    assert written(plain, ("net.rate", "name", "net.dim")) == config.cut(
        cfg, ("net.rate", "name", "net.dim")
    )


@pytest.mark.parametrize(
    "value", ["${none}", "${net.none}", "???", "${a}", "${oc.env:HOME}", r"\${steps} ${steps}"]
)
def test_other_interpolations_are_left_to_omegaconf(value):
    with pytest.raises(NotPlain):
        Plain(TREE | {"a": value})["a"]


def test_trees_share_what_is_made_of_the_same_and_nothing_else():
    known = {}
    first, second = Plain(TREE, known), Plain(assigned(TREE, "net.rate=2"), known)
    sizes = first.part("net.sizes")
    assert (first["name"], second["name"], first["name"]) == ("run-4-0.5", "run-4-2", "run-4-0.5")
    assert (first["part"]["rate"], second["part"]["rate"]) == (0.5, 2)
    assert second.part("steps") is first.part("steps")
    assert first.part("net.sizes") == sizes
    assert Plain({"a": None}, known)["a"] is None
    with pytest.raises(NotPlain):
        Plain({}, known)["a"]


@pytest.mark.parametrize(
    "axes",
    [
        {"a": "x", "b": "y-1.z"},
        {"on": "on", "1": "no", "x": "null"},
        {
            "a": "1",
            "b": "1e3",
            "c": "0.5",
            "d": "0x1",
            "e": "1_0",
            "f": "-",
            "g": ".inf",
        },
        {"h": "=", "a": "2026-11-23", "b": "---", "c": "...", "d": "ä", "e": ""},
        {"a": "a b", "b": "x" * 90},
    ],
)
def test_words_are_written_as_by_omegaconf(axes):
    assert written(Plain({"axes": axes}), ["axes"]) == in_ascii(OmegaConf.to_yaml({"axes": axes}))


@pytest.mark.parametrize(
    "lines", [["scale=full", "experiment=a/b-c.d", "x.y=1e-3"], ["a={b: c}"], ["a=b c"], []]
)
def test_choices_are_written_as_by_omegaconf(lines):
    tree = {"overrides": lines}
    assert written(Plain(tree), ["overrides"]) == in_ascii(OmegaConf.to_yaml(tree))


def _arms() -> list[Arm]:
    """Some arms of the full scale, of each ablation those with overrides of their own."""
    seen: set[str] = set()
    found = []
    for name in config.compose(["scale=full"]).scale.ablations:
        for arm in read(name, "full", config.params_folder()):
            if not seen.issuperset(arm.overrides):
                seen.update(arm.overrides)
                found.append(arm)
    return found[::9]


@pytest.mark.slow
def test_arms_are_composed_as_by_hydra(tmp_path, monkeypatch):
    params = config.params_folder()
    monkeypatch.setattr(config, "params_folder", lambda: params)
    monkeypatch.chdir(tmp_path)
    made = Compositions("full")
    for arm in _arms():
        expected = config.compose(["scale=full", *arm.overrides])
        OmegaConf.set_struct(expected, False)
        expected.experiment, expected.axes = arm.name, dict(arm.axes)
        expected.overrides = kept(["scale=full", *arm.overrides])
        keys = made.reads(arm.stages[0])
        open_ = {"out": "here", "seed": 1}
        assert made.text(arm.stages[0], arm, open_) == config.cut(
            OmegaConf.merge(expected, open_), keys
        )


@pytest.mark.parametrize(
    "value", ["β = 1", "−", "😀 \n x: y", "1e3", "null", 'a "b"', " λ ", "a\u2028b"]
)
def test_other_characters_are_escaped_and_mean_the_same(value):
    tree = {"title": value, "λ": [value, 1, 0.5, 1e-07, None, True], "plain": "1e5", "none": {}}
    text = in_ascii(OmegaConf.to_yaml(OmegaConf.create(tree)))
    assert text.isascii()
    assert OmegaConf.to_container(OmegaConf.create(text)) == tree
    assert in_ascii("a: b\n") == "a: b\n"
