"""Say what this machine has for a run, what is missing, and what to type."""

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tcsm import config
from tcsm.errors import InputError

# Package → what needs it.
PACKAGES = {
    "torch": "training",
    "hydra-core": "configuration",
    "safetensors": "weights",
    "snakemake": "the workflow: make report",
    "dvc": "versions of data and weights: dvc repro",
    "seaborn": "the report",
    "transformers": "tokenizers and models of Hugging Face",
}
USAGE = "tcsm doctor"
FREE_GIB = 2  # the default run writes less


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Attributes:
        name: What was looked at.
        state: What it is.
        advice: What to type if something is missing; empty if nothing is.
    """

    name: str
    state: str
    advice: str = ""


def main(arguments: Sequence[str]) -> int:
    """Print all findings; return 1 if something is missing that a run needs.

    Raises:
        InputError: There are arguments.
    """
    if arguments:
        raise InputError(f"doctor: takes no arguments, found {' '.join(arguments)}")
    findings = [*_python(), *_packages(), *_device(), *_disk(), *_texts()]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "missing" if finding.advice else "ok"
        print(f"{mark:<8}{finding.name:<{width}}  {finding.state}")
        if finding.advice:
            print(f"{'':<8}{'':<{width}}  → {finding.advice}")
    return int(any(finding.advice for finding in findings))


def _python() -> Iterator[Finding]:
    old = sys.version_info < (3, 11)
    advice = "install Python 3.11 or later" if old else ""
    yield Finding("python", f"{platform.python_version()} ({sys.prefix})", advice)


def _packages() -> Iterator[Finding]:
    for package, use in PACKAGES.items():
        try:
            yield Finding(package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            advice = "pip install -c constraints.txt -e '.[dev]'"
            yield Finding(package, f"not installed; needed for {use}", advice)


def _device() -> Iterator[Finding]:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = (size / 2**30 for size in torch.cuda.mem_get_info(index))
            name = torch.cuda.get_device_name(index)
            yield Finding(f"gpu {index}", f"{name}, {free:.0f} of {total:.0f} GiB free")
    else:
        yield Finding("gpu", "none; trainings run on the CPU")
    yield Finding("cpu", f"{os.cpu_count()} cores; {torch.backends.cpu.get_cpu_capability()}")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    advice = f"free {FREE_GIB} GiB or set out= to another disk" if free < FREE_GIB else ""
    yield Finding("disk", f"{free:.0f} GiB free in {Path.cwd()}", advice)


def _texts() -> Iterator[Finding]:
    """Yield whether the default corpus is tokenized."""
    root = Path(str(config.compose(["corpus=kjv"]).data.root))
    ready = all((root / f"{split}.tok").is_file() for split in ("train", "valid", "test"))
    state = f"tokenized in {root}" if ready else f"no token files in {root} yet"
    yield Finding("corpus kjv", state if ready else f"{state}; make report, or type tcsm prepare")
