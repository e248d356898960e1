"""A target for each folder of runs, such as a question: `snakemake divergences`. DVC asks for these."""


for folder in sorted({name.partition("/")[0] for name in RUNS.arms}):

    rule:
        name:
            folder
        input:
            lambda job, folder=folder: sorted({*kept(folder)}),


rule data:
    input:
        DATA,
