"""From text to token files, and a check that they are the expected ones."""

ROOTS = sorted({RUNS.root(n) for n, v in RUNS.variants.items() if any(RUNS.reads_text(s, n) for s in v.stages)})
DATA = expand(["{root}/train.tok", "results/manifests/{root}.sha256"], root=ROOTS)

wildcard_constraints:
    root="|".join(map(re.escape, ROOTS)) or "(?!)",

rule prepare:
    input:
        ancient(lambda job: RUNS.corpus_files(job.root)),
    output:
        multiext("{root}/", "train.tok", "valid.tok", "test.tok"),
    params:
        config=lambda job: RUNS.corpus_text(job.root),
        code=lambda job: RUNS.corpus_code(job.root),
    log:
        "results/logs/prepare/{root}.log",
    benchmark:
        "results/benchmarks/prepare/{root}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=RUNS.scale.runtime,
    shell:
        f"export TCSM_WORKERS={{threads}}; {command('prepare')}"


rule pin:
    input:
        rules.prepare.output,
    output:
        "results/manifests/{root}.sha256",
    log:
        "results/logs/pin/{root}.log",
    benchmark:
        "results/benchmarks/pin/{root}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        '"$TCSM_PYTHON" -m workflow.scripts.pin_data {input:q} 2>&1 >{output:q} | tee -i {log:q} >&2'
