"""What the rules share: the runs of this scale and how a stage is started."""

import gc
import re
import sys

from snakemake.exceptions import WorkflowError

from tcsm.errors import InputError
from workflow.checks import Checks
from workflow.files import BATCHED, CONFIG, Files, own
from workflow.launch import command, know_the_group, on_a_node, processes, set_environment
from workflow.runs import EXPERIMENT, NAME, Runs

set_environment()
gc.set_threshold(200_000)  # the jobs of a plan are no garbage: looking for some takes a fifth of the time

try:
    RUNS = Runs(config["scale"], Checks(early=workflow.is_main_process))
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
    """The pattern of these arms, an ablation that is all among them by its name; else of nothing."""
    whole = {name for name, arms in RUNS.ablations.items() if {a.name for a in arms} <= {*names}}
    whole -= {name.partition("/")[0] for name in RUNS.arms.keys() - {*names}}
    rest = [re.escape(name) for name in names if name.partition("/")[0] not in whole]
    return "|".join([*rest, *(f"{name}/{NAME}" for name in sorted(whole))]) or "(?!)"


def literal(words):
    """A parameter whose braces are no wildcards."""
    return lambda job: words


def text(stage):
    """The configuration of a job: of its seed, or of every seed of its experiment."""
    return lambda job: RUNS.run_text(stage, [job.experiment], *own_seed(job))


def share(job):
    """How many processes a training wants."""
    return processes(text("train")(job))


def memory(job):
    """What the processes of a training want on one node."""
    return RUNS.scale.mem_mb * on_a_node(text("train")(job))


def code(stage):
    """The fingerprint of the code that a job runs and of the files that it is given."""
    return lambda job: RUNS.arm_code(stage, job.experiment)


def tokens(job):
    """The token files of an experiment. Their manifest says when they are others."""
    return multiext(f"{RUNS.root(job.experiment)}/", "train.tok", "valid.tok", "test.tok")


def manifest(job):
    """The checksums of the token files of an experiment."""
    return f"results/manifests/{RUNS.root(job.experiment)}.sha256"


def own_seed(job):
    """The seed of a job, if it has one."""
    return map(int, job.get("seed", "").split())


def of_needed(job):
    """What the runs leave that an experiment needs. Their records say when it is another one."""
    return FILES.products(job.experiment, *own_seed(job))


def told_by_needed(job):
    """The records of the runs that an experiment needs."""
    return FILES.told(job.experiment, *own_seed(job))


def of_user(stage):
    """The files of the user that a stage reads. The fingerprint says when they hold something else."""
    return lambda job: RUNS.files(stage, [job.experiment])


def of_judge(name):
    """A file of the run that scores samples, if there is one."""
    return [f"{RUNS.judge()}/{name}"] if RUNS.judge() else []


def kept(folder):
    """Every file that DVC keeps of the runs below a folder: all outputs but their times."""
    for name in (name for name in RUNS.arms if name.startswith(f"{folder}/")):
        for stage in RUNS.arms[name].stages:
            yield from (file for file in FILES.outputs(stage, [name]) if "telemetry" not in file)
