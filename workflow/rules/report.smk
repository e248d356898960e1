"""From the records of all runs to the report, and a target for each folder of runs."""

rule report:
    input: RUNS.records(), RUNS.page_parts()
    output:
        multiext(f"{RUNS.out}/", "index.html", "metrics.json", "results.json", "references.bib"),
        directory(multiext(f"{RUNS.out}/", "figures", "tables")),
    params: config=lambda job: RUNS.report()[0], code=RUNS.report()[1]
    log: f"{LOGS}/report.log"
    benchmark: f"{TIMES}/report.tsv"
    resources: mem_mb=2000, runtime=10
    shell: command("report")

# `snakemake divergences` makes all that DVC keeps of a folder; dvc.yaml uses them.
for folder in sorted({name.partition("/")[0] for name in RUNS.variants}):

    rule:
        name: folder
        input: lambda job, folder=folder: RUNS.kept(folder)

rule data:
    input: DATA
