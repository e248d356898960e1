"""Walks a golden file: which checker each kind of case has, and which kinds have none yet."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.golden import (
    bounds,
    distributions,
    joint,
    losses,
    preferences,
    processes,
    ratios,
    rewards,
)
from tests.golden.verdict import Case, Comparison, UnknownKindError, Verdict

CHECKS: dict[str, Callable[[Case], Iterable[Comparison]]] = {
    "score k=1": losses.both,
    "score k>1": losses.blocks,
    "smoothed k=1": losses.score,
    "distrib k=1": losses.distribution,
    "soft k=1": losses.parametric,
    "joint": joint.energy,
    "dre": ratios.ratio,
    "preference": preferences.preference,
    "reward": rewards.reward,
    "schedules": processes.schedule,
    "posterior": processes.posterior,
    "uniform_integrands": processes.integrands,
    "elbo": bounds.elbo,
    "samplers": distributions.sampler,
}
LATER: set[str] = set()


def check(document: dict[str, Any]) -> Verdict:
    """The tally of a whole file."""
    verdict = Verdict()
    for kind, name, case in cases(document):
        if kind in LATER:
            verdict.later[kind] += 1
        elif kind not in CHECKS:
            verdict.unknown[kind] += 1
        else:
            judge(kind, name, case, verdict)
    return verdict


def cases(document: dict[str, Any]) -> Iterator[tuple[str, str, Case]]:
    """Kind, name and content of every case."""
    for case in document.get("loss_cases", []):
        yield loss_kind(case), str(case.get("id")), case
    for case in document.get("joint_cases", []):
        yield "joint", str(case.get("id")), case
    for section, rows in document.get("tabular", {}).items():
        for index, case in enumerate(rows):
            yield section, f"{section}[{index}]", case
    for section in document.keys() - {"meta", "loss_cases", "joint_cases", "tabular"}:
        yield f"section {section}", section, {}


def loss_kind(case: Case) -> str:
    """Level, and whether blocks have several positions; none is larger than what is open."""
    k = case.get("k", 1)
    size = min(k, max(1, len(case.get("active", range(k)))))
    return f"{case.get('level')} k{'=1' if size == 1 else '>1'}"


def judge(kind: str, name: str, case: Case, verdict: Verdict) -> None:
    """Compare one case; whatever goes wrong in it is its own failure."""
    try:
        comparisons = list(CHECKS[kind](case))
        errors = [error for each in comparisons if (error := each.error())]
    except UnknownKindError as unknown:
        verdict.unknown[str(unknown)] += 1
        return
    except Exception as error:
        comparisons, errors = [], [f"{type(error).__name__}: {error}"]
    if comparisons and not errors:
        verdict.passed[kind] += 1
    else:
        verdict.failed.append(f"{name}: {'; '.join(errors) or 'nothing compared'}")
