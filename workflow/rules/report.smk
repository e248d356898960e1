"""From the records of all runs to the report, and a target for each folder of runs."""

rule report:
    input: RUNS.records(), RUNS.page_parts()
    output:
        report(f"{RUNS.out}/index.html", "../captions/page.rst", category="Report"),
        report(f"{RUNS.out}/metrics.json", "../captions/numbers.rst", category="Report"),
        report(directory(f"{RUNS.out}/figures"), "../captions/figures.rst", category="Figures", patterns=["{figure}.svg"]),
        directory(f"{RUNS.out}/tables"),
        multiext(f"{RUNS.out}/", "results.json", "references.bib"),
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
