"""One model per experiment and seed; likelihoods, samples and collections of several runs."""

TRAINED = (CONFIG, *written("train"))

rule train:
    input: ancient(of_job(RUNS.large, "train")), of_job(RUNS.small, "train")
    output: expand(f"{RUN}/{{file}}", file=TRAINED, allow_missing=True)
    params: config=of_job(RUNS.text, "train"), code=of_job(RUNS.code, "train")
    log: f"{LOGS}/train/{{experiment}}/seed-{{seed}}.log"
    benchmark: f"{TIMES}/train/{{experiment}}/seed-{{seed}}.tsv"
    wildcard_constraints: experiment=these(ALONE if RUNS.together else EVERY)
    priority: 1  # long jobs begin first, short ones fill the cores at the end
    threads: processes
    resources:
        gpu=lambda job: RUNS.scale.gpu * processes(job),
        mem_mb=lambda job: RUNS.scale.mem_mb * RUNS.facts(job.experiment)["processes"],  # of a node
        runtime=RUNS.scale.runtime,
    shell: command("train")

use rule train as train_seeds with:
    priority: 0
    output: seeds(*TRAINED)
    log: f"{LOGS}/train/{{experiment}}.log"
    benchmark: f"{TIMES}/train/{{experiment}}.tsv"
    wildcard_constraints: experiment=these(EVERY - PLAIN if RUNS.together else [])

use rule train_seeds as train_all_seeds with:
    priority: 1
    wildcard_constraints: experiment=these(PLAIN - ALONE if RUNS.together else [])

for stage in ("evaluate", "sample"):

    rule:
        name: stage
        input: ancient(of_job(RUNS.large, stage)), of_job(RUNS.small, stage)
        output: seeds(*written(stage))
        params: config=of_job(RUNS.text, stage), code=of_job(RUNS.code, stage), stage=stage
        log: f"{LOGS}/{stage}/{{experiment}}.log"
        benchmark: f"{TIMES}/{stage}/{{experiment}}.tsv"
        wildcard_constraints: experiment=these(EVERY.difference(*dict(BATCHES[stage]).values()))
        priority: -1  # nothing waits for it but the report
        resources: **RESOURCES
        shell: command("{params.stage:q}")

# Small runs share a process, those of an ablation's first axis or of a folder: a rule for each.
for stage, name, batch in ((stage, *batch) for stage in BATCHES for batch in BATCHES[stage]):

    rule:
        name: re.sub(r"\W", "_", f"{stage}/{name}")
        input: ancient(RUNS.large(stage, batch)), RUNS.small(stage, batch)
        output: RUNS.outputs(stage, batch)
        params:
            stage=stage,  # the shell is formatted after the loop has ended
            config=lambda job, text=RUNS.text(stage, batch): text,  # braces in it are no wildcards
            code=RUNS.code(stage, batch),
        log: f"{LOGS}/{stage}/{name}.log"
        benchmark: f"{TIMES}/{stage}/{name}.tsv"
        priority: -1 if stage == "sample" else 0  # the shortest fill the cores at the end
        resources: **RESOURCES
        shell: command("{params.stage:q}")
