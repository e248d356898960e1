"""Files: what a stage writes into the folder of a run, and what other jobs wait for.

Of another run a job reads the products, which are large. It waits for the record, which is small
and changes whenever the products do.
"""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tcsm.io.layout import FILES

if TYPE_CHECKING:
    from workflow.runs import Runs

CONFIG = "config.yaml"
SCRATCH = "results/.scratch"  # where a training keeps its state
# What other runs may need of a stage; the stage's record changes whenever they do.
PRODUCTS = {
    "train": ("weights.safetensors",),
    "reward": ("classifier.safetensors",),
    "collect": ("sequences.tok", "rewards.safetensors"),
    "pair": ("sequences.tok", "rewards.safetensors"),
}
JOURNALS = {
    "train": ("metrics.jsonl", "telemetry.jsonl"),
}
BATCHED = ("evaluate", "reward", "collect", "pair")


def written(stage: str) -> list[str]:
    """Return what a stage writes into the folder of a run, without the run's configuration."""
    records = [FILES[stage], f"{stage}.telemetry.json"]
    return [*records, *PRODUCTS.get(stage, ()), *JOURNALS.get(stage, ())]


@dataclass(frozen=True)
class Files:
    """The files of the runs of a scale."""

    runs: "Runs"

    def products(self, name: str, *seeds: int) -> list[str]:
        """Return what some runs of a variant (all if no seed is named) read of others."""
        return self._of_needed(name, lambda stage: PRODUCTS.get(stage, ()), seeds)

    def records(self, name: str, *seeds: int) -> list[str]:
        """Return the records of the runs that some runs of a variant need."""
        return self._of_needed(name, lambda stage: (FILES[stage],), seeds)

    def large(self, stage: str, batch: list[str]) -> list[str]:
        """Return the large files that a batch reads: products, and files of the user."""
        earlier = self._of_earlier(stage, batch, lambda first: PRODUCTS[first])
        others = {file for name in batch for file in self.products(name)}
        return sorted(others | earlier | {*self.runs.files(stage, batch)})

    def inputs(self, stage: str, batch: list[str]) -> list[str]:
        """Return the records that a batch waits for."""
        earlier = self._of_earlier(stage, batch, lambda first: (FILES[first],))
        return sorted({file for name in batch for file in self.records(name)} | earlier)

    def outputs(self, stage: str, batch: list[str]) -> list[str]:
        """Return what a stage of a batch writes; a run's first stage the configuration too."""
        return [
            f"{folder}/{file}"
            for name in batch
            for folder in self.runs.folders([name])
            for file in [*written(stage), *[CONFIG] * (self._first(name) == stage)]
        ]

    def tidy(self) -> None:
        """Remove the saved states of complete trainings, which jobs of a group leave."""
        for name in (*self.runs.one_by_one, *self.runs.together):
            for seed in self.runs.seeds_of(name):
                if Path(self.runs.folder(name, seed), FILES["train"]).exists():
                    shutil.rmtree(self.runs.folder(name, seed, SCRATCH), ignore_errors=True)

    def _first(self, name: str) -> str:
        return self.runs.variants[name].stages[0]

    def _of_needed(
        self, name: str, files: Callable[[str], Iterable[str]], seeds: Iterable[int]
    ) -> list[str]:
        """Return files of the first stages of the runs that a variant needs."""
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
        """Return files of the first stage of the runs of a batch whose first stage is another."""
        later = [name for name in batch if self._first(name) != stage]
        return {
            f"{folder}/{file}"
            for name in later
            for folder in self.runs.folders([name])
            for file in files(self._first(name))
        }
