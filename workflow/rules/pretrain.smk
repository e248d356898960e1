"""One model per experiment and seed; likelihoods and samples of all seeds in one process."""

TRAINED = (CONFIG, *written("train"))

rule train:
    input: ancient(large("train")), small("train")
    output: expand(f"{RUN}/{{file}}", file=TRAINED, allow_missing=True)
    params: config=text("train"), code=code("train")
    log: f"{LOGS}/train/{{experiment}}/seed-{{seed}}.log"
    benchmark: f"{TIMES}/train/{{experiment}}/seed-{{seed}}.tsv"
    wildcard_constraints: experiment=ALONE if RUNS.together else EXPERIMENT
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
    wildcard_constraints: experiment=ABLATED

use rule train_seeds as train_all_seeds with:
    priority: 1
    wildcard_constraints: experiment=BY_ITSELF + OTHERS if RUNS.together else "(?!)"

rule evaluate:
    input: ancient(large("evaluate")), small("evaluate")
    output: seeds(*written("evaluate"))
    params: config=text("evaluate"), code=code("evaluate")
    log: f"{LOGS}/evaluate/{{experiment}}.log"
    benchmark: f"{TIMES}/evaluate/{{experiment}}.tsv"
    wildcard_constraints: experiment=BY_ITSELF + OTHERS
    priority: -1  # nothing waits for it but the report
    resources: **RESOURCES
    shell: command("evaluate")

use rule evaluate as evaluate_first with:
    output: seeds(*written("evaluate"), of=RUNS.seeds[:1])
    wildcard_constraints: experiment=rf"{BY_ITSELF}(?:{ALONE})"

rule sample:
    input: ancient(large("sample")), small("sample")
    output: seeds(*written("sample"))
    params: config=text("sample"), code=code("sample")
    log: f"{LOGS}/sample/{{experiment}}.log"
    benchmark: f"{TIMES}/sample/{{experiment}}.tsv"
    priority: -1
    resources: **RESOURCES
    shell: command("sample")
