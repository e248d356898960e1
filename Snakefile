"""From text to a report: `snakemake --cores all`, or `--config scale=smoke` for two minutes."""

import os

from snakemake.utils import min_version, validate

min_version("9.27")
validate(config, "workflow/schemas/config.schema.yaml")
if workflow.is_main_process:  # one GPU by default; `--resources gpu=N` wins
    workflow.global_resources.setdefault("gpu", int(os.environ.get("TCSM_GPUS", "1")))

include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/stages.smk"
include: "workflow/rules/report.smk"

rule all:
    default_target: True
    input: rules.report.output, RUNS.records(), DATA  # by name, so that a removed file is made again
