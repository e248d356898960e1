"""MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass

from tcsm.training.loggers.base import Logger


@dataclass
class MLflow(Logger):
    """A run of an experiment of MLflow.

    Attributes:
        experiment: Name of MLflow's experiment.
    """

    needs = ("mlflow", "mlflow")
    experiment: str

    def open(self, name: str, step: int) -> None:
        """Begin a run, or continue the latest of this name."""
        self.module.set_experiment(self.experiment)
        runs = self.module.search_runs(
            filter_string=f"attributes.run_name = '{name}'", max_results=1, output_format="list"
        )
        known = runs[0].info.run_id if step and runs else None
        self.module.start_run(run_id=known, run_name=name)

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write the numbers of a step."""
        self.module.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """End the run."""
        self.module.end_run()
