"""Ablations: small runs that share a process, and what they need."""


use rule train as train_seeds with:
    input:
        ancient(tokens),
        ancient(needed_products),
        ancient(user_files("train")),
        manifest,
        needed_records,
    output:
        seeds(*TRAINED),
    log:
        f"{LOGS}/train/{{experiment}}.log",
    benchmark:
        f"{TIMES}/train/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=only(RUNS.together),


use rule evaluate as evaluate_first with:
    input:
        ancient(tokens),
        ancient(first("weights.safetensors")),
        ancient(needed_products),
        ancient(user_files("evaluate")),
        ancient(judge("evaluate", "weights.safetensors")),
        manifest,
        first("train.json"),
        needed_records,
        judge("evaluate", "train.json"),
    output:
        first(*written("evaluate")),
    wildcard_constraints:
        experiment=only({*RUNS.one_by_one} & {*RUNS.alone}),


TITLES = []  # names of rules: toy/a.b and toy/a_b become the same word

for stage in BATCHED:
    for batch in RUNS.batches(stage):
        name = f"{stage}/{RUNS.batch_name(batch)}"
        title = re.sub(r"\W", "_", name)
        title += "_" * TITLES.count(title)
        TITLES.append(re.sub(r"\W", "_", name))
        roots = sorted({RUNS.root(variant) for variant in batch if RUNS.reads_text(stage, variant)})
        judge_file = of_judge if RUNS.reads_judge(stage, batch) else lambda name: []

        rule:
            name:
                title
            input:
                ancient(FILES.large(stage, batch)),
                ancient(expand("{root}/{split}.tok", root=roots, split=["train", "valid", "test"])),
                ancient(judge_file("weights.safetensors")),
                judge_file("train.json"),
                FILES.inputs(stage, batch),
                expand("results/manifests/{root}.sha256", root=roots),
            output:
                FILES.outputs(stage, batch),
            params:
                stage=stage,  # the shell is formatted after the loop has ended
                config=literal(RUNS.text(stage, batch)),
                code=RUNS.code(stage, *batch),
            log:
                f"{LOGS}/{name}.log",
            benchmark:
                f"{TIMES}/{name}.tsv"
            threads: 1
            resources:
                gpu=RUNS.scale.gpu,
                mem_mb=RUNS.scale.mem_mb,
                runtime=RUNS.scale.runtime,
            shell:
                command("{params.stage:q}")
