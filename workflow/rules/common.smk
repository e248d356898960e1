"""What the rules share: the runs of this scale, and how a stage is started."""

import gc
import re
import shutil
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from tcsm.errors import InputError
from tcsm.io.layout import CONFIG, written
from tcsm.time_left import show_time_left
from workflow.compose import CACHE
from workflow.launch import command, set_environment, watch
from workflow.runs import EXPERIMENT, MANIFEST, SCRATCH, SPLITS, Runs
from workflow.scripts.reproduce import note

if sys.getfilesystemencoding() != "utf-8":
    raise WorkflowError("the locale cannot say every text; start with PYTHONUTF8=1 snakemake ...")
set_environment(sys.argv)
if workflow.is_main_process and not CACHE.exists():  # the first plan takes half a minute
    subprocess.Popen([sys.executable, "-m", "workflow.runs", config["scale"]], stderr=subprocess.DEVNULL)
gc.disable()  # what a plan makes stays; to look through it takes a tenth of its time
try:
    RUNS = Runs(config["scale"])
    if workflow.is_main_process:  # every bad value shows before any job runs
        RUNS.check()
except InputError as error:
    raise WorkflowError(str(error)) from None
finally:
    gc.enable()

RUN = RUNS.folder("{experiment}", "{seed}")
LOGS, TIMES = f"results/logs/{RUNS.scale.name}", f"results/benchmarks/{RUNS.scale.name}"
RESOURCES = {"gpu": RUNS.scale.gpu, "mem_mb": RUNS.scale.mem_mb, "runtime": RUNS.scale.runtime}
EVERY, ALONE = {*RUNS.variants}, {*RUNS.alone}
PLAIN = {name for name, variant in RUNS.variants.items() if not variant.axes}
BATCHES = {stage: [*RUNS.batches(stage)] for stage in ("evaluate", "sample", "collect")}

wildcard_constraints: experiment=EXPERIMENT, seed=r"\d+"

def end():
    """Remove the saved states of complete trainings, which jobs of a group leave; note results."""
    for record in Path("results").glob(f"{RUNS.scale.name}/*/*/seed-*/train.json"):
        shutil.rmtree(Path(SCRATCH, *record.parent.parts[1:]), ignore_errors=True)
    note(RUNS.scale.name)

onstart:
    show_time_left()
    if str(config["live"]).lower() == "true":
        watch(RUNS.scale.name, f"{RUNS.out}/live")

onsuccess: end()
onerror: end()

def these(names):
    """The wildcard constraint of some experiments."""
    return "|".join(map(re.escape, sorted(names))) or "(?!)"

def seeds(*files, of=RUNS.seeds):
    """These files of every seed of an experiment."""
    return expand([f"{RUN}/{file}" for file in files], seed=of, allow_missing=True)

def of_job(read, stage):
    """What a method of Runs returns for a stage of the runs of a job, those of a seed or all."""
    return lambda job: read(stage, [job.experiment], *map(int, job.get("seed", "").split()))

def processes(job):
    """The number of processes of a training, on all nodes: a core and a GPU each."""
    return RUNS.facts(job.experiment)["processes"] * RUNS.facts(job.experiment)["nodes"]
