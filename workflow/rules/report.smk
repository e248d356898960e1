"""From the records of all runs to the report."""

REPORT = f"{RUNS.out}/index.html"


rule report:
    input:
        RUNS.records(),
        RUNS.page_parts(),
    output:
        REPORT,
        f"{RUNS.out}/metrics.json",
        directory(f"{RUNS.out}/figures"),
        directory(f"{RUNS.out}/tables"),
    params:
        config=literal(RUNS.report_text()),
        code=RUNS.report_code(),
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{TIMES}/report.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        command("report")
