"""Ablations: small runs that share a process, what they need, and a target for each question."""


use rule train as train_seeds with:
    input:
        ancient(tokens),
        ancient(of_needed("weights.safetensors")),
        manifest,
        of_needed("train.json"),
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
        ancient(of_needed("weights.safetensors")),
        manifest,
        first("train.json"),
    output:
        first(*EVALUATED),
    wildcard_constraints:
        experiment=only(RUNS.needed),


for stage, left in (("exact", ["config.yaml", "metrics.jsonl"]), ("targets", ["config.yaml"])):
    for batch in RUNS.batches(stage):
        name = f"{stage}/{RUNS.batch_name(batch)}"
        files = [*left, f"{stage}.json", f"{stage}.telemetry.json"]
        needed = sorted({folder for arm in batch for folder in RUNS.needs(arm).values()})
        roots = sorted({RUNS.root(arm) for arm in batch if RUNS.reads_text(stage)})

        rule:
            name:
                re.sub(r"\W", "_", name)
            input:
                ancient(expand("{run}/weights.safetensors", run=needed)),
                ancient(expand("{root}/{split}.tok", root=roots, split=["train", "valid", "test"])),
                expand("{run}/train.json", run=needed),
                expand("results/manifests/{root}.sha256", root=roots),
            output:
                expand("{run}/{file}", run=RUNS.folders(batch), file=files),
            params:
                stage=stage,  # a shell is read after the loop has ended
                config=RUNS.run_text(stage, batch),
                code=RUNS.code(stage, RUNS.run_text(stage, batch)),
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
                command("{params.stage}")


for ablation, arms in RUNS.ablations.items():

    rule:
        name:
            ablation
        input:
            RUNS.records(arm.name for arm in arms),
