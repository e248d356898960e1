"""From text to token files, and a check that they are the expected ones."""

DATA = expand(["{root}/train.tok", MANIFEST], root=RUNS.roots())

wildcard_constraints: root=these(RUNS.roots())

rule prepare:
    output: multiext("{root}/", *SPLITS)
    params: config=lambda job: RUNS.corpus(job.root)[0], code=lambda job: RUNS.corpus(job.root)[1]
    log: "results/logs/prepare/{root}.log"
    benchmark: "results/benchmarks/prepare/{root}.tsv"
    resources: mem_mb=4000, runtime=RUNS.scale.runtime
    shell: f"export TCSM_WORKERS={{threads}}; {command('prepare')}"

rule pin:
    input: rules.prepare.output
    output: MANIFEST
    log: "results/logs/pin/{root}.log"
    benchmark: "results/benchmarks/pin/{root}.tsv"
    resources: mem_mb=1000, runtime=10
    shell: '"$TCSM_PYTHON" -m workflow.scripts.pin_data {input:q} 2>&1 >{output:q} | tee -i {log:q} >&2'
