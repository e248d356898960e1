"""One model an experiment and seed; its likelihood and samples, all seeds in one process."""


rule train:
    input:
        ancient(tokens),
        manifest,
    output:
        f"{RUN}/config.yaml",
        f"{RUN}/weights.safetensors",
        f"{RUN}/metrics.jsonl",
        f"{RUN}/telemetry.jsonl",
        f"{RUN}/train.json",
        f"{RUN}/train.telemetry.json",
    params:
        config=text("train"),
        code=code("train"),
    log:
        f"{LOGS}/train/{{experiment}}/seed-{{seed}}.log",
    benchmark:
        f"{TIMES}/train/{{experiment}}/seed-{{seed}}.tsv"
    threads: 1
    resources:
        gpu=RUNS.scale.gpu,
        mem_mb=RUNS.scale.mem_mb,
        runtime=RUNS.scale.runtime,
    shell:
        command("train")


rule evaluate:
    input:
        ancient(tokens),
        ancient(expand(f"{RUN}/weights.safetensors", seed=RUNS.seeds, allow_missing=True)),
        manifest,
        expand(f"{RUN}/train.json", seed=RUNS.seeds, allow_missing=True),
    output:
        expand(f"{RUN}/evaluate.json", seed=RUNS.seeds, allow_missing=True),
        expand(f"{RUN}/evaluate.telemetry.json", seed=RUNS.seeds, allow_missing=True),
    params:
        config=text("evaluate"),
        code=code("evaluate"),
    log:
        f"{LOGS}/evaluate/{{experiment}}.log",
    benchmark:
        f"{TIMES}/evaluate/{{experiment}}.tsv"
    threads: 1
    resources:
        gpu=RUNS.scale.gpu,
        mem_mb=RUNS.scale.mem_mb,
        runtime=RUNS.scale.runtime,
    shell:
        command("evaluate")


rule sample:
    input:
        ancient(expand(f"{RUN}/weights.safetensors", seed=RUNS.seeds, allow_missing=True)),
        ancient(of_judge("weights.safetensors")),
        expand(f"{RUN}/train.json", seed=RUNS.seeds, allow_missing=True),
        of_judge("train.json"),
    output:
        expand(f"{RUN}/samples.json", seed=RUNS.seeds, allow_missing=True),
        expand(f"{RUN}/sample.telemetry.json", seed=RUNS.seeds, allow_missing=True),
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
