"""Variants: configurations with a name. A file of ``params/ablation`` is a product of axes.

Its keys are described in ``schemas/ablation.schema.yaml``.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tcsm.config.signatures import near
from tcsm.errors import InputError
from tcsm.io.layout import FILES

COUNTED = "count_failures=true"  # how often a divergence fails is one of the answers
SCHEMA = Path(__file__).parent / "schemas/ablation.schema.yaml"


@dataclass(frozen=True)
class Variant:
    """A configuration with a name, such as "kjv/score"; its runs differ by their seeds alone."""

    name: str
    overrides: tuple[str, ...]
    stages: tuple[str, ...]
    axes: tuple[tuple[str, str], ...] = ()  # with their values, in an ablation


def experiment(name: str, *stages: str) -> Variant:
    """Return the variant that is a file of ``params/experiment``."""
    return Variant(name, (f"experiment={name}",), stages)


def read(name: str, scale: str, params: Path) -> list[Variant]:
    """Return the variants that a scale takes of an ablation: all, unless the file says which."""
    path = params / f"ablation/{name}.yaml"
    plan = _checked(path)
    part, left_out = plan.get("scales", {}).get(scale, {}), plan.get("without", [])
    axes, keep = plan["axes"], part.get("keep", {})
    for axis, value in ((axis, value) for axis, values in keep.items() for value in values):
        _require_known({axis: value}, axes, f"{path}: scales.{scale}.keep")
    for number, place in enumerate(left_out):
        _require_known(place, axes, f"{path}: without[{number}]")
    common = [f"experiment={plan['experiment']}", COUNTED, *plan.get("overrides", [])]
    variants = []
    for values in itertools.product(*(keep.get(axis, axes[axis]) for axis in axes)):
        place = dict(zip(axes, values, strict=True))
        if not any(other.items() <= place.items() for other in left_out):
            own = [line for axis, value in place.items() for line in axes[axis][value]]
            lines = [*common, *own, *part.get("overrides", [])]
            last = {line.partition("=")[0].lstrip("+"): line for line in lines}  # one line a key
            listed = yaml.safe_load(last.get("stages", "=null").partition("=")[2])
            label = f"{name}/{'-'.join(values)}"
            stages = known_stages(plan["stages"] if listed is None else listed, f"{path}: {label}")
            variants.append(Variant(label, tuple(last.values()), stages, tuple(place.items())))
    return variants


def known_stages(value: object, where: str) -> tuple[str, ...]:
    """Return the stages of a variant, in their order, if they are some."""
    if not isinstance(value, list) or not value:
        raise InputError(f"{where}: stages must be a list of one or more, found {value!r}")
    for stage in value:
        if stage not in FILES:
            raise InputError(f"{where}: stages: {stage} is no stage; {near(str(stage), FILES)}")
    return tuple(value)


def _checked(path: Path) -> dict[str, Any]:
    """Return the content of a file that agrees with the schema."""
    if not path.is_file():
        names = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise InputError(f"scale.ablations: {path} does not exist; {near(path.stem, names)}")
    schema = yaml.safe_load(SCHEMA.read_text("utf-8"))
    try:
        plan = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    for error in sorted(jsonschema.Draft202012Validator(schema).iter_errors(plan), key=str):
        key = ".".join(map(str, error.absolute_path)) or "the file"
        raise InputError(f"{path}: {key}: {error.message}")
    return dict(plan)


def _require_known(place: Mapping[str, str], axes: Mapping[str, Any], where: str) -> None:
    for axis, value in place.items():
        if axis not in axes:
            raise InputError(f"{where}: {axis} is no axis; {near(axis, axes)}")
        if value not in axes[axis]:
            raise InputError(f"{where}.{axis}: {value} is no value; {near(value, axes[axis])}")
