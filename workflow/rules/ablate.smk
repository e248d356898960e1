"""Stages of which small runs share a process, those of an ablation's first axis: a rule for each."""

for stage, name, batch in ((stage, *batch) for stage in ("evaluate", "collect") for batch in RUNS.batches(stage)):

    rule:
        name: re.sub(r"\W", "_", f"{stage}/{name}")
        input: ancient(RUNS.large(stage, batch)), RUNS.small(stage, batch)
        output: RUNS.outputs(stage, batch)
        params:
            stage=stage,  # the shell is formatted after the loop has ended
            config=literal(RUNS.text(stage, batch)),
            code=RUNS.code(stage, batch),
        log: f"{LOGS}/{stage}/{name}.log"
        benchmark: f"{TIMES}/{stage}/{name}.tsv"
        resources: **RESOURCES
        shell: command("{params.stage:q}")
