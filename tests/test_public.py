"""Public names exist, and files of earlier versions are read by the present names."""

import importlib
import math
import pkgutil
import runpy
from pathlib import Path

import pytest

import tcsm
from tcsm.io import renamed

EXAMPLE = Path(__file__).parents[1] / "docs/examples/own_network.py"
PACKAGES = sorted(
    f"tcsm.{path.parent.name}".removesuffix(".tcsm")
    for path in [Path(tcsm.__file__), *Path(tcsm.__file__).parent.glob("*/__init__.py")]
    if "__all__" in path.read_text("utf-8")
)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_defined_where_the_package_says(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        assert value.__name__ == name
        assert value.__module__.startswith(package)
        assert value.__doc__


def test_other_names_are_attribute_errors():
    with pytest.raises(AttributeError, match=r"tcsm\.process.*Nothing"):
        importlib.import_module("tcsm.process").Nothing  # noqa: B018


@pytest.mark.parametrize("former", renamed.NAMES)
def test_a_former_name_leads_to_an_object(former):
    present = renamed.current(f"_target_: {former}").removeprefix("_target_: ")
    assert present != former
    assert pkgutil.resolve_name(present)


def test_a_former_key_has_its_present_name():
    text = "a: 1\nfeed:\n  feed: 2\n"
    assert renamed.current(text) == "a: 1\nbatches:\n  feed: 2\n"


def test_longer_names_are_left_alone():
    text = "tcsm.nets.flat.Flattened and tcsm.data.feeds_of_mine"
    assert renamed.current(text) == text


def test_shapes_are_checked_wherever_tensors_are_computed_with(pytestconfig):
    """What runs and stages compute, they compute by these packages."""
    checked = set(pytestconfig.getoption("jaxtyping_packages").split(","))
    top = Path(__file__).parents[1]
    typed = {
        ".".join(path.relative_to(top).with_suffix("").parts[:2])
        for path in (top / "tcsm").rglob("*.py")
        if "from jaxtyping import" in path.read_text("utf-8")
    }
    assert typed - checked <= {"tcsm.runs", "tcsm.stages", "tcsm.reporting"}


def test_a_network_of_ones_own_learns_by_public_names_alone(capsys):
    made = runpy.run_path(str(EXAMPLE))
    assert made["nats"] < 1 < math.log(27)
    assert f"at most {made['nats']:.2f} nats" in capsys.readouterr().out
