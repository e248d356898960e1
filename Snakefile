"""From text to a report: `snakemake --cores all`, or with `--config scale=smoke` in two minutes."""

import os

from snakemake.utils import min_version, validate

from workflow.warm import serve

min_version("9.27")
validate(config, "workflow/schemas/config.schema.yaml")
if workflow.is_main_process:  # one GPU unless told otherwise; `--resources gpu=N` wins
    workflow.global_resources.setdefault("gpu", int(os.environ.get("TCSM_GPUS", "1")))

onstart:
    if workflow.local_exec:
        serve({stage for arm in RUNS.arms.values() for stage in arm.stages})

include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/ablate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/targets.smk"

rule all:
    default_target: True
    input: rules.report.output, RUNS.records(RUNS.arms), DATA  # all by name: of others none would be missed
