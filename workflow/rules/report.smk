"""From the records of all runs to one page."""

REPORT = f"{RUNS.out}/index.html"


rule report:
    input:
        expand("{run}/train.json", run=RUNS.folders()),
        expand("{run}/evaluate.json", run=RUNS.folders()),
        expand("{run}/samples.json", run=RUNS.folders()),
        RUNS.page_parts(),
    output:
        REPORT,
    params:
        config=RUNS.report_text(),
        code=RUNS.code("report", RUNS.report_text()),
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
