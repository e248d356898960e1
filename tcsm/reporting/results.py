"""Results: the tables of the runs that chapters may ask for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from tcsm.errors import InputError
from tcsm.reporting import ablations, frames, provenance, stability
from tcsm.reporting.ablations import Labels
from tcsm.reporting.frames import Experiments
from tcsm.reporting.runs import Run
from tcsm.reporting.statistics import Estimate, finite
from tcsm.reporting.tables import Row, Rows, frame_of
from tcsm.reporting.variants import Ablation

MEASURES = ("test_bpc", "kl", "tv")  # the first that an ablation has is its measure
VIEWS = (
    frames.headline, frames.points, frames.differences, frames.learning, frames.learning_table,
    frames.learning_ends, frames.by_noise, frames.widest_noise, frames.samples,
    stability.stability, provenance.budget, provenance.other_budget, provenance.provenance,
    provenance.other_provenance,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Results:
    """What chapters know of the runs.

    Attributes:
        runs: all runs of the report.
        experiments: experiment → label of the headline models, in the order shown.
        labels: axis → value → label of the ablations, in the order shown.
    """

    runs: Sequence[Run]
    experiments: Experiments
    labels: Labels

    def tools(self) -> dict[str, Callable[..., object]]:
        """Return what chapters call, by name: tables of the headline models, and the methods."""
        own: tuple[Callable[..., object], ...] = (
            self.label, self.bpc, self.difference, self.ablation, self.counts, self.texts,
            self.excerpts, means, melt,
        )  # fmt: skip
        views = {view.__name__: partial(self._view, view) for view in VIEWS}
        return views | {function.__name__: function for function in own}

    def label(self, experiment: str) -> str:
        """Return the label of an experiment.

        Raises:
            InputError: neither the report nor a run has that name.
        """
        names = {run.experiment: run.experiment for run in self.runs} | dict(self.experiments)
        if experiment not in names:
            known = ", ".join(self.experiments)
            raise InputError(f"{experiment} is no run of this report; it shows {known}")
        return names[experiment]

    def bpc(self, experiment: str, split: str = "test") -> Estimate:
        """Return the bits per character of an experiment over its seeds."""
        points = frames.points(self.runs, {experiment: self.label(experiment)}, split)
        return finite(points["bpc"].to_numpy(dtype=float))

    def difference(self, subject: str, baseline: str, split: str = "test") -> Row:
        """Return the paired difference of two experiments; {} without shared seeds."""
        labels = {name: self.label(name) for name in (subject, baseline)}
        rows = frames.differences(self.runs, labels, [(subject, baseline)], split)
        return next(iter(Rows(rows)), {})

    def ablation(self, name: str, measure: str = "") -> Ablation:
        """Return an ablation, by default with the first measure that it has."""
        grid = ablations.read(self.runs, name, self.labels)
        known = (key for key in MEASURES if key in grid.runs and grid.runs[key].notna().any())
        return Ablation(self.runs, self.labels, name, grid, measure or next(known, MEASURES[0]))

    def ablations(self) -> list[str]:
        """Return the ablations that have runs, in the order of the runs."""
        parts = (r.experiment.partition("/")[0] for r in self.runs if ablations.values(r))
        return list(dict.fromkeys(parts))

    def counts(self) -> dict[str, int]:
        """Return the numbers of runs, models, ablations, commits."""
        names = [run.experiment for run in self.runs if run.experiment in self.experiments]
        own = {"model_runs": len(names), "models": len(set(names))}
        own["ablation_runs"] = sum(bool(ablations.values(run)) for run in self.runs)
        return own | {"ablations": len(self.ablations())} | provenance.commits(self.runs)

    def texts(self) -> list[tuple[str, Run]]:
        """Return the first seed of each model that was sampled, with its label."""
        drawn = {name: frames.seeds_of(self.runs, name) for name in self.experiments}
        first = {name: next((r for r in runs if r.samples), None) for name, runs in drawn.items()}
        return [(self.experiments[name], run) for name, run in first.items() if run]

    def excerpts(self, run: Run, count: int, length: int) -> list[Row]:
        """Return the texts of a run by sampler, at most so many and so long."""
        return [
            {
                "heading": f"{drawn['steps']} steps",
                "note": f"{drawn['sampler']}, {drawn['network_calls']} network calls",
                "texts": [t[:length] + " …" * (len(t) > length) for t in drawn["texts"][:count]],
            }
            for drawn in run.samples["runs"]
        ]

    def _view(self, view: Callable[..., pd.DataFrame], *args: object, **options: object) -> Rows:
        return Rows(view(self.runs, self.experiments, *args, **options))


def means(rows: Sequence[Row], by: Sequence[str], keys: Sequence[str]) -> Rows:
    """Return the means of columns over the rows that agree in others."""
    known = [key for key in keys if rows and key in rows[0]]
    return Rows(frame_of(rows).groupby(list(by), sort=False)[known].mean().reset_index())


def melt(rows: Iterable[Row], labels: Mapping[str, str], key: str) -> Rows:
    """Return the rows once a column, with its value as ``key`` and its label as ``arm``."""
    frame = frame_of(rows)
    parts = [frame.assign(arm=name).assign(**{key: frame[c]}) for c, name in labels.items()]
    return Rows(pd.concat(parts, ignore_index=True))
