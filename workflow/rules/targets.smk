"""A target for each folder of runs, such as an ablation: `snakemake divergences`. dvc.yaml uses them."""


for folder in sorted({name.partition("/")[0] for name in RUNS.variants}):

    rule:
        name:
            folder
        input:
            lambda job, folder=folder: sorted({*kept(folder)}),


rule data:
    input:
        DATA,
