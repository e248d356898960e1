"""Files: what a stage leaves in the folder of a run, and what others wait for.

Of another run a job reads its products, which are large, and waits for its record, which says when
they are others.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcsm.outcomes import FILES

if TYPE_CHECKING:
    from workflow.runs import Runs

CONFIG = "config.yaml"
SCRATCH = "results/.scratch"  # where a training keeps its state
# What others may need of a stage: its record says when this is another one.
PRODUCTS = {
    "train": ("weights.safetensors",),
    "exact": ("weights.safetensors",),
    "reward": ("classifier.safetensors",),
    "collect": ("sequences.tok", "rewards.safetensors"),
    "pair": ("sequences.tok", "rewards.safetensors"),
}
JOURNALS = {
    "train": ("metrics.jsonl", "telemetry.jsonl"),
    "exact": ("metrics.jsonl",),
    "tilt": ("metrics.jsonl",),
}
BATCHED = ("evaluate", "exact", "targets", "reward", "collect", "pair", "tilt", "grade")


def own(stage: str) -> list[str]:
    """What a stage leaves in the folder of a run, but for the run's configuration."""
    told = [FILES[stage], f"{stage}.telemetry.json"]
    return [*told, *PRODUCTS.get(stage, ()), *JOURNALS.get(stage, ())]


@dataclass(frozen=True)
class Files:
    """The files of the runs of a scale."""

    runs: "Runs"

    def products(self, name: str, *seeds: int) -> list[str]:
        """What some runs of an arm (all, if no seed is named) need of others."""
        return self._of_needed(name, lambda stage: PRODUCTS.get(stage, ()), seeds)

    def told(self, name: str, *seeds: int) -> list[str]:
        """The records of the runs that some runs of an arm need."""
        return self._of_needed(name, lambda stage: (FILES[stage],), seeds)

    def large(self, stage: str, batch: list[str]) -> list[str]:
        """What a batch reads: products of others and of its own first stage, the user's files."""
        own = self._of_earlier(stage, batch, lambda first: PRODUCTS[first])
        others = {file for name in batch for file in self.products(name)}
        return sorted(others | own | {*self.runs.files(stage, batch)})

    def inputs(self, stage: str, batch: list[str]) -> list[str]:
        """The records that a batch waits for."""
        own = self._of_earlier(stage, batch, lambda first: (FILES[first],))
        return sorted({file for name in batch for file in self.told(name)} | own)

    def outputs(self, stage: str, batch: list[str]) -> list[str]:
        """What a stage leaves in the folders of a batch; an arm's first the configuration too."""
        return [
            f"{folder}/{file}"
            for name in batch
            for folder in self.runs.folders([name])
            for file in [*own(stage), *[CONFIG] * (self._first(name) == stage)]
        ]

    def tidy(self) -> None:
        """Remove what complete trainings would go on from: jobs of a group leave it."""
        for name in (*self.runs.one_by_one, *self.runs.together):
            for seed in self.runs.seeds_of(name):
                if Path(self.runs.folder(name, seed), FILES["train"]).exists():
                    shutil.rmtree(self.runs.folder(name, seed, SCRATCH), ignore_errors=True)

    def _first(self, name: str) -> str:
        return self.runs.arms[name].stages[0]

    def _of_needed(
        self, name: str, files: Callable[[str], Iterable[str]], seeds: Iterable[int]
    ) -> list[str]:
        """Files of the first stages of the runs that an arm needs."""
        return sorted(
            {
                f"{self.runs.folder_for(other, seed)}/{file}"
                for seed in list(seeds) or self.runs.seeds_of(name)
                for other in self.runs.needs(name).values()
                for file in files(self._first(other))
            }
        )

    def _of_earlier(
        self, stage: str, batch: list[str], files: Callable[[str], Iterable[str]]
    ) -> set[str]:
        """Files of the first stage of the arms of a batch that have another one."""
        later = [name for name in batch if self._first(name) != stage]
        return {
            f"{folder}/{file}"
            for name in later
            for folder in self.runs.folders([name])
            for file in files(self._first(name))
        }
