"""Variants: configurations with a name. A file of ``params/ablation`` is a product of axes.

    experiment: kjv/score            what every variant starts from
    stages: [train, evaluate]        what is done with it, unless a variant has stages=[...]
    overrides: [trainer.steps=200]   of every variant
    axes: {AXIS: {VALUE: [OVERRIDE, ...], ...}, ...}
    without: [{AXIS: VALUE, ...}]    combinations that are left out
    scales: {SCALE: {overrides: [...], keep: {AXIS: [VALUE, ...]}}}

A scale that is not named there takes the whole product.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
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
    """A configuration with a name; its runs differ by their seeds alone.

    Attributes:
        name: "kjv/score", or "ABLATION/VALUE-VALUE" in an ablation.
        overrides: of the configuration, a later one wins.
        stages: what is done with it.
        axes: axis → value, in an ablation.
    """

    name: str
    overrides: tuple[str, ...]
    stages: tuple[str, ...]
    axes: tuple[tuple[str, str], ...] = ()

    @property
    def ablation(self) -> str | None:
        """The name of its ablation, if it belongs to one."""
        return self.name.partition("/")[0] if self.axes else None


def experiment(name: str, *stages: str) -> Variant:
    """Return the variant that is a file of ``params/experiment``."""
    return Variant(name, (f"experiment={name}",), stages)


def read(name: str, scale: str, params: Path) -> list[Variant]:
    """Return the variants that a scale takes of an ablation.

    Raises:
        InputError: no such file, or one that is not well formed.
    """
    path = params / f"ablation/{name}.yaml"
    if not path.is_file():
        names = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise InputError(f"scale.ablations: {path} does not exist; {near(name, names)}")
    plan = _checked(path)
    part = plan.get("scales", {}).get(scale, {})
    axes = _kept(plan["axes"], part.get("keep", {}), f"{path}: scales.{scale}.keep")
    common = [f"experiment={plan['experiment']}", COUNTED, *plan.get("overrides", [])]
    left_out = plan.get("without", [])
    for number, combination in enumerate(left_out):
        _require_known(combination, plan["axes"], f"{path}: without[{number}]")
    variants = []
    for values in itertools.product(*axes.values()):
        place = dict(zip(axes, values, strict=True))
        if not any(combination.items() <= place.items() for combination in left_out):
            own = [line for axis, value in place.items() for line in axes[axis][value]]
            lines = _last([*common, *own, *part.get("overrides", [])])
            label = f"{name}/{'-'.join(values)}"
            stages = known_stages(_stages(lines, plan["stages"]), f"{path}: {label}")
            variants.append(Variant(label, lines, stages, tuple(place.items())))
    return variants


def known_stages(value: object, where: str) -> tuple[str, ...]:
    """Return the stages of a variant, in their order.

    Raises:
        InputError: it is not a list of stages.
    """
    if not isinstance(value, list) or not value:
        raise InputError(f"{where}: stages must be a list of one or more, found {value!r}")
    for stage in value:
        if stage not in FILES:
            raise InputError(f"{where}: stages: {stage} is no stage; {near(str(stage), FILES)}")
    return tuple(value)


def _checked(path: Path) -> dict[str, Any]:
    """Return the content of a file that agrees with the schema."""
    schema = yaml.safe_load(SCHEMA.read_text("utf-8"))
    try:
        plan = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(plan), key=str)
    if errors:
        place = ".".join(map(str, errors[0].absolute_path)) or "the file"
        raise InputError(f"{path}: {place}: {errors[0].message}")
    return dict(plan)


def _stages(lines: Iterable[str], common: Sequence[str]) -> object:
    """Return the stages of a variant: its own, if it names them, else those of all."""
    own = [line.partition("=")[2] for line in lines if line.startswith("stages=")]
    return yaml.safe_load(own[0]) if own else common


def _kept(
    axes: Mapping[str, Mapping[str, Any]], keep: Mapping[str, Sequence[str]], where: str
) -> dict[str, dict[str, Any]]:
    """Return the axes with the values that a scale takes, in the order of the scale."""
    for axis, values in keep.items():
        for value in values:
            _require_known({axis: value}, axes, where)
    return {
        axis: {value: values[value] for value in keep.get(axis, values)}
        for axis, values in axes.items()
    }


def _require_known(
    place: Mapping[str, str], axes: Mapping[str, Mapping[str, Any]], where: str
) -> None:
    for axis, value in place.items():
        if axis not in axes:
            raise InputError(f"{where}: {axis} is no axis; {near(axis, axes)}")
        if value not in axes[axis]:
            raise InputError(f"{where}.{axis}: {value} is no value; {near(value, axes[axis])}")


def _last(lines: Iterable[str]) -> tuple[str, ...]:
    """Return one override per key: a later one replaces an earlier one."""
    return tuple({line.partition("=")[0].lstrip("+"): line for line in lines}.values())
