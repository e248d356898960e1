"""What the rules share: the runs of this scale and how a stage is started."""

from snakemake.exceptions import WorkflowError

from tcsm.errors import InputError
from workflow.runs import Runs, command

try:
    RUNS = Runs(config["scale"])
    if workflow.is_main_process:  # every bad value shows before any job runs
        RUNS.check()
except InputError as error:
    raise WorkflowError(str(error)) from None

wildcard_constraints:
    experiment=r"[a-z0-9_]+/[a-z0-9_]+",
    seed=r"\d+",
    root=r"(results/)?data/[A-Za-z0-9_.-]+",

RUN = RUNS.folder("{experiment}", "{seed}")
LOGS, TIMES = f"results/logs/{RUNS.scale.name}", f"results/benchmarks/{RUNS.scale.name}"


def text(stage):
    """The configuration of a job: of its seed, or of every seed of its experiment."""
    return lambda job: RUNS.run_text(stage, job.experiment, *map(int, job.get("seed", "").split()))


def code(stage):
    """The fingerprint of the code that a job runs."""
    return lambda job: RUNS.code(stage, text(stage)(job))


def tokens(job):
    """The token files of an experiment. Their manifest says when they are others."""
    return multiext(f"{RUNS.root(job.experiment)}/", "train.tok", "valid.tok", "test.tok")


def manifest(job):
    """The checksums of the token files of an experiment."""
    return f"results/manifests/{RUNS.root(job.experiment)}.sha256"


def of_judge(name):
    """A file of the run that scores samples, if there is one."""
    return [f"{RUNS.judge()}/{name}"] if RUNS.judge() else []
