"""One model per experiment and seed; likelihoods and samples of all seeds in one process."""

TRAINED = (CONFIG, *written("train"))

rule train:
    input:
        ancient(tokens),
        ancient(needed_products),
        ancient(user_files("train")),
        manifest,
        needed_records,
    output:
        expand(f"{RUN}/{{file}}", file=TRAINED, allow_missing=True),
    params:
        config=text("train"),
        code=code("train"),
    log:
        f"{LOGS}/train/{{experiment}}/seed-{{seed}}.log",
    benchmark:
        f"{TIMES}/train/{{experiment}}/seed-{{seed}}.tsv"
    wildcard_constraints:
        experiment=only(RUNS.one_by_one),
    threads: share
    resources:
        gpu=lambda job: RUNS.scale.gpu * share(job),
        mem_mb=memory,
        runtime=RUNS.scale.runtime,
    shell:
        command("train")


rule evaluate:
    input:
        ancient(tokens),
        ancient(seeds("weights.safetensors")),
        ancient(needed_products),
        ancient(user_files("evaluate")),
        ancient(judge("evaluate", "weights.safetensors")),
        manifest,
        seeds("train.json"),
        needed_records,
        judge("evaluate", "train.json"),
    output:
        seeds(*written("evaluate")),
    params:
        config=text("evaluate"),
        code=code("evaluate"),
    log:
        f"{LOGS}/evaluate/{{experiment}}.log",
    benchmark:
        f"{TIMES}/evaluate/{{experiment}}.tsv"
    wildcard_constraints:
        experiment=only({*RUNS.one_by_one} - {*RUNS.alone}),
    threads: 1
    resources:
        gpu=RUNS.scale.gpu,
        mem_mb=RUNS.scale.mem_mb,
        runtime=RUNS.scale.runtime,
    shell:
        command("evaluate")


rule sample:
    input:
        ancient(seeds("weights.safetensors")),
        ancient(needed_products),
        ancient(user_files("sample")),
        ancient(of_judge("weights.safetensors")),
        seeds("train.json"),
        of_judge("train.json"),
    output:
        seeds(*written("sample")),
    params:
        config=text("sample"),
        code=code("sample"),
    log:
        f"{LOGS}/sample/{{experiment}}.log",
    benchmark:
        f"{TIMES}/sample/{{experiment}}.tsv"
    threads: 1
    resources:
        gpu=RUNS.scale.gpu,
        mem_mb=RUNS.scale.mem_mb,
        runtime=RUNS.scale.runtime,
    shell:
        command("sample")
