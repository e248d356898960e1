"""What the rules share: the runs of this scale and how a stage is started."""

import gc
import re
import sys

from snakemake.exceptions import WorkflowError

from tcsm.errors import InputError
from workflow.files import BATCHED, CONFIG, Files, written
from workflow.launch import command, know_the_group, on_a_node, processes, set_environment
from workflow.runs import EXPERIMENT, NAME, Runs

set_environment()
gc.set_threshold(200_000)  # collecting garbage takes a fifth of the time of a large plan

try:
    RUNS = Runs(config["scale"])
    if workflow.is_main_process:  # every bad value shows before any job runs
        RUNS.check()
except InputError as error:
    raise WorkflowError(str(error)) from None
FILES = Files(RUNS)

know_the_group(sys.argv)

onsuccess:
    FILES.tidy()

onerror:
    FILES.tidy()

wildcard_constraints:
    experiment=EXPERIMENT,
    seed=r"\d+",

RUN = RUNS.folder("{experiment}", "{seed}")
LOGS, TIMES = f"results/logs/{RUNS.scale.name}", f"results/benchmarks/{RUNS.scale.name}"


def seeds(*files):
    """These files of every seed of an experiment."""
    return expand([f"{RUN}/{file}" for file in files], seed=RUNS.seeds, allow_missing=True)


def first(*files):
    """These files of the first seed of an experiment."""
    return expand([f"{RUN}/{file}" for file in files], seed=RUNS.seeds[:1], allow_missing=True)


def only(names):
    """A pattern of these experiments alone; an ablation that is complete stands for its variants."""
    whole = {name for name, group in RUNS.ablations.items() if {v.name for v in group} <= {*names}}
    whole -= {name.partition("/")[0] for name in RUNS.variants.keys() - {*names}}
    rest = [re.escape(name) for name in names if name.partition("/")[0] not in whole]
    return "|".join([*rest, *(f"{name}/{NAME}" for name in sorted(whole))]) or "(?!)"


def literal(text):
    """A parameter whose braces are not wildcards."""
    return lambda job: text


def seed_of(job):
    """The seed of a job, if it has one."""
    return map(int, job.get("seed", "").split())


def text(stage):
    """The configuration of a job: of its seed, or of every seed of its experiment."""
    return lambda job: RUNS.text(stage, [job.experiment], *seed_of(job))


def code(stage):
    """The fingerprint of the code that a job runs and of the user's files that it reads."""
    return lambda job: RUNS.code(stage, job.experiment)


def share(job):
    """The number of processes of a training."""
    return processes(text("train")(job))


def memory(job):
    """The memory of the processes of a training on one node."""
    return RUNS.scale.mem_mb * on_a_node(text("train")(job))


def tokens(job):
    """The token files of an experiment, if it reads text; their manifest changes when they do."""
    root = RUNS.root(job.experiment)
    return multiext(f"{root}/", "train.tok", "valid.tok", "test.tok") if root else []


def manifest(job):
    """The checksums of the token files of an experiment, if it reads text."""
    root = RUNS.root(job.experiment)
    return f"results/manifests/{root}.sha256" if root else []


def needed_products(job):
    """What a job reads of the runs that its experiment needs; their records change when it does."""
    return FILES.products(job.experiment, *seed_of(job))


def needed_records(job):
    """The records of the runs that an experiment needs."""
    return FILES.records(job.experiment, *seed_of(job))


def user_files(stage):
    """The user's files that a stage reads; the fingerprint changes when their content does."""
    return lambda job: RUNS.files(stage, [job.experiment])


def of_judge(name):
    """A file of the run that scores samples, if there is one."""
    return [f"{RUNS.judge()}/{name}"] if RUNS.judge() else []


def judge(stage, name):
    """A file of the run that scores samples, where a stage of an experiment reads it."""
    return lambda job: of_judge(name) if RUNS.reads_judge(stage, [job.experiment]) else []


def kept(folder):
    """Every file that DVC keeps of the runs below a folder: all outputs but their times."""
    for name in (name for name in RUNS.variants if name.startswith(f"{folder}/")):
        for stage in RUNS.variants[name].stages:
            yield from (file for file in FILES.outputs(stage, [name]) if "telemetry" not in file)
