"""Results: what chapters may ask of the runs, by name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from tcsm.errors import InputError
from tcsm.reporting import ablations, cost, models, pareto
from tcsm.reporting.ablations import Ablation, Labels
from tcsm.reporting.frames import Frames, labeled
from tcsm.reporting.tables import Row, Rows, frame_of
from tcsm.statistics import Estimate, finite

VIEWS = (
    models.headline, models.differences, models.learning_table, models.stability,
    cost.budget, cost.provenance,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Results:
    """What chapters know of the runs: experiment → label, axis → value → label, in their order."""

    frames: Frames
    experiments: Mapping[str, str]
    labels: Labels

    def tools(self) -> dict[str, Any]:
        """Return what chapters call, by name: tables of the headline models, and the methods."""
        own = (self.label, self.models, self.bpc, self.ablation, self.counts)
        views = {view.__name__: partial(self._view, view) for view in VIEWS}
        return views | {tool.__name__: tool for tool in (*own, means, melt, minus, front)}

    def label(self, experiment: str) -> str:
        """Return the label of an experiment; an InputError if no run has that name."""
        if experiment not in {*self.experiments, *self.frames.runs["experiment"]}:
            known = ", ".join(self.experiments)
            raise InputError(f"{experiment} is no run of this report; it shows {known}")
        return self.experiments.get(experiment, experiment)

    def models(self, kind: str) -> Rows:
        """Return the rows of the headline models in a frame: splits, curves, noise or samples."""
        return Rows(labeled(getattr(self.frames, kind), self.experiments))

    def bpc(self, experiment: str, split: str = "test") -> Estimate:
        """Return the bits per character of an experiment over its seeds."""
        rows = labeled(self.frames.splits, {experiment: self.label(experiment)})
        return finite(rows.loc[rows["split"] == split, "bpc"])

    def ablation(self, name: str, measure: str = "") -> Ablation:
        """Return an ablation, by default with the first measure that it has."""
        return ablations.read(self.frames, name, self.labels, measure)

    def ablations(self) -> list[str]:
        """Return the ablations that have runs, in the order of the runs."""
        return [name for name in pd.unique(self.frames.runs["ablation"]) if name]

    def counts(self) -> dict[str, Any]:
        """Return the numbers of runs, models, ablations, commits; the names of lost runs."""
        runs = self.frames.runs
        names = runs.loc[runs["experiment"].isin(list(self.experiments)), "experiment"]
        own: dict[str, Any] = {"model_runs": len(names), "models": names.nunique()}
        own |= {"ablation_runs": sum(runs["ablation"] != ""), "ablations": len(self.ablations())}
        own |= {
            "missing": _names(runs[runs["absent"].astype(bool)]),
            "lost": _names(runs[~runs["finite"].astype(bool)]),
        }
        return own | cost.commits(self.frames)

    def made(self) -> dict[str, str]:
        """Return the date and the commit of the last stage that ran, if records have them."""
        stages = self.frames.stages
        if "started" not in stages or stages.empty:
            return {}
        last = stages.sort_values("started").iloc[-1]
        return {"date": str(last["started"])[:10], "commit": str(last["commit"])[:10]}

    def corpora(self) -> list[str]:
        """Return the titles of the corpora that the headline models, else all, were trained on."""
        runs = self.frames.runs
        own = runs[runs["experiment"].isin(list(self.experiments))]
        return sorted({name for name in (runs if own.empty else own)["corpus"] if name})

    def _view(self, view: Callable[..., pd.DataFrame], *args: object, **options: object) -> Rows:
        known = self.frames.all_runs
        return Rows(view(self.frames, self.experiments, *args, **options) if known else [])


def _names(runs: pd.DataFrame) -> str:
    """Return experiments and seeds of runs in words."""
    known = sorted(zip(runs["experiment"], runs["seed"], strict=True))
    return ", ".join(f"{experiment} seed {seed}" for experiment, seed in known)


def means(rows: Sequence[Row], by: Sequence[str], keys: Sequence[str]) -> Rows:
    """Return the means of columns over the rows that agree in others."""
    known = [key for key in keys if rows and key in rows[0]]
    return Rows(frame_of(rows).groupby(list(by), sort=False)[known].mean().reset_index())


def melt(rows: Iterable[Row], labels: Mapping[str, str], key: str) -> Rows:
    """Return the rows once a column, with its value as ``key`` and its label as the variant."""
    return Rows({**row, "variant": labels[c], key: row[c]} for c in labels for row in rows)


def minus(rows: Sequence[Row], variant: str, at: str, key: str) -> Rows:
    """Return the rows with a column less that of a variant at the same place and seed."""
    level = {(row[at], row["seed"]): row[key] for row in rows if row["variant"] == variant}
    paired = ((row, level.get((row[at], row["seed"]))) for row in rows)
    return Rows({**row, key: row[key] - other} for row, other in paired if other is not None)


def front(rows: Sequence[Row], cost: str, quality: str, more: bool = False) -> Rows:
    """Return the variants on the Pareto front of two columns of runs; less cost is better."""
    points = pareto.means(frame_of(rows), cost, quality, ["variant"])
    return Rows(pareto.nondominated(points, cost, quality, more))
