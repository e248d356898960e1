"""What the rules share: the runs of this scale, and how a stage is started."""

import re
import shutil
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from tcsm.errors import InputError
from tcsm.io.layout import CONFIG, written
from workflow.launch import command, set_environment
from workflow.runs import EXPERIMENT, MANIFEST, NAME, SCRATCH, SPLITS, Runs
from workflow.scripts.own import note

if sys.getfilesystemencoding() != "utf-8":
    raise WorkflowError("the locale cannot say every text; start with PYTHONUTF8=1 snakemake ...")
set_environment(sys.argv)
try:
    RUNS = Runs(config["scale"])
    if workflow.is_main_process:  # every bad value shows before any job runs
        RUNS.check()
except InputError as error:
    raise WorkflowError(str(error)) from None

RUN = RUNS.folder("{experiment}", "{seed}")
LOGS, TIMES = f"results/logs/{RUNS.scale.name}", f"results/benchmarks/{RUNS.scale.name}"
RESOURCES = {"gpu": RUNS.scale.gpu, "mem_mb": RUNS.scale.mem_mb, "runtime": RUNS.scale.runtime}
ALONE = "|".join(map(re.escape, RUNS.alone)) or "(?!)"  # runs of the first seed alone
OTHERS = rf"(?!(?:{ALONE})/seed-){EXPERIMENT}"
GROUPS = {name.partition("/")[0] for name, v in RUNS.variants.items() if v.axes and RUNS.together}
PLAIN = "|".join(re.escape(name) for name, v in RUNS.variants.items() if not v.axes)
# Runs that share a process with others of their ablation.
ABLATED = rf"(?!(?:{PLAIN or '(?!)'})/seed-)(?:{'|'.join(GROUPS) or '(?!)'})/{NAME}"
UNTRAINED = [re.escape(n) for n, v in RUNS.variants.items() if v.stages[0] == "evaluate"]
BY_ITSELF = rf"(?!(?:{'|'.join([ABLATED, *UNTRAINED])})/seed-)"

wildcard_constraints:
    experiment=EXPERIMENT,
    seed=r"\d+",

def end():
    """Remove the saved states of complete trainings, which jobs of a group leave; note results."""
    for record in Path("results").glob(f"{RUNS.scale.name}/*/*/seed-*/train.json"):
        shutil.rmtree(Path(SCRATCH, *record.parent.parts[1:]), ignore_errors=True)
    note(RUNS.scale.name)

onsuccess:
    end()

onerror:
    end()

def seeds(*files, of=RUNS.seeds):
    """These files of every seed of an experiment."""
    return expand([f"{RUN}/{file}" for file in files], seed=of, allow_missing=True)

def of_job(read):
    """Of a stage: what a method of Runs returns for the runs of a job, those of a seed or all."""
    seed = lambda job: map(int, job.get("seed", "").split())
    return lambda stage: lambda job: read(stage, [job.experiment], *seed(job))

large = of_job(RUNS.large)  # files that a job reads; each has a small one that changes with it
small = of_job(RUNS.small)  # records of other runs, and checksums of token files
text = of_job(RUNS.text)  # configuration
code = of_job(RUNS.code)  # fingerprint of the code, and of the user's files

def literal(text):
    """A parameter whose braces are not wildcards."""
    return lambda job: text

def processes(job):
    """The number of processes of a training, on all nodes: a core and a GPU each."""
    return RUNS.facts(job.experiment)["processes"] * RUNS.facts(job.experiment)["nodes"]
