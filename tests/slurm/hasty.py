"""Snakemake that asks SLURM every second; by itself it waits longer after every answer."""

import snakemake_executor_plugin_slurm as plugin
from snakemake.cli import main

plugin.Executor.next_seconds_between_status_checks = property(lambda _: 1, lambda _, value: None)

if __name__ == "__main__":
    main()
