"""The runs of one scale: which there are, what each stage of them reads, what code it runs.

The texts made here are the parameters of Snakemake's rules. A job is done again exactly when its
own text changes, so a comment in ``params/`` reruns nothing and a value reruns what it touches.
"""

import hashlib
import os
import sys
from functools import cache
from pathlib import Path

from omegaconf import DictConfig

from tcsm import config
from tcsm.errors import InputError
from workflow.fingerprint import Sources

PASSED = Path(".snakemake/tcsm-passed")
SOURCES = Path(config.__file__).parents[1]

ANY_SEED = 2**60 + 1  # stands for the seed where one text is written for all of them

# Snakemake's interpreter runs the jobs. It is no parameter of a rule: another path to the same
# environment reruns nothing.
os.environ["TCSM_PYTHON"] = sys.executable


def command(stage: str) -> str:
    """The shell of a rule: configuration from standard input, words to the log and the screen."""
    return (
        f"printf '%s' {{params.config:q}} | \"$TCSM_PYTHON\" -m tcsm {stage} --config - 2>&1"
        " | tee -i {log:q} >&2"
    )


class Runs:
    """The grid experiments × seeds of a file of ``params/scale``.

    Attributes:
        scale: the content of that file.
        experiments: the arms that are trained.
        seeds: of every arm.
        out: the folder of the report.
    """

    def __init__(self, scale: str) -> None:
        self._sources = Sources(SOURCES)
        self._composed = cache(self._compose)
        self.scale = config.compose([f"scale={scale}"]).scale
        self.experiments: list[str] = list(self.scale.pretrain)
        self.seeds: list[int] = list(self.scale.seeds)
        self.out = "reports" if scale == "default" else f"reports/{scale}"
        self._any_seed = cache(self._one_text)

    def folder(self, experiment: str, seed: int | str, root: str = "results") -> str:
        """Where a run lives; also a pattern, for the wildcards "{experiment}" and "{seed}"."""
        return f"{root}/{self.scale.name}/{experiment}/seed-{seed}"

    def folders(self, *experiments: str) -> list[str]:
        """The folders of every seed of some experiments, of all if none is named."""
        names = experiments or self.experiments
        return [self.folder(name, seed) for name in names for seed in self.seeds]

    def judge(self) -> str | None:
        """The folder of the run that scores the samples of all others, if the scale has one."""
        return self.folder(self.scale.judge, self.seeds[0]) if self.scale.judge else None

    def root(self, experiment: str) -> str:
        """The folder of the token files that an experiment reads."""
        return str(self._composed(experiment).data.root)

    def code(self, stage: str, text: str) -> str:
        """The fingerprint of the code that a stage runs with a configuration."""
        return self._sources.fingerprint(stage, text)

    def run_text(self, stage: str, experiment: str, *seeds: int) -> str:
        """What a stage reads of some runs (of every seed, if none is named), a document each."""
        text = self._any_seed(stage, experiment)
        return "---\n".join(text.replace(str(ANY_SEED), str(n)) for n in seeds or self.seeds)

    def _one_text(self, stage: str, experiment: str) -> str:
        out = self.folder(experiment, ANY_SEED)
        scratch = self.folder(experiment, ANY_SEED, "results/.scratch")
        return self._cut(stage, experiment, seed=ANY_SEED, out=out, scratch=scratch)

    def corpus_text(self, root: str) -> str:
        """What ``prepare`` reads for a folder of token files.

        Raises:
            InputError: no experiment reads the folder, or two want different things in it.
        """
        readers = [name for name in self.experiments if self.root(name) == root]
        texts = {name: self._cut("prepare", name, out=root) for name in readers}
        if len(set(texts.values())) != 1:
            found = ", ".join(texts) or "no experiment"
            raise InputError(
                f"data.root: {root} must hold one corpus in one tokenizer; it is read by {found}"
            )
        return texts[readers[0]]

    def report_text(self) -> str:
        """What ``report`` reads: the folders of all runs."""
        return self._cut("report", self.experiments[0], out=self.out, runs=self.folders())

    def page_parts(self) -> list[str]:
        """The template and the captions of the page."""
        folders = (Path("reports/template"), Path("reports/captions"))
        return sorted(str(p) for folder in folders for p in folder.rglob("*") if p.is_file())

    def check(self) -> None:
        """Build every experiment on torch's meta device, unless these very runs once passed.

        Raises:
            InputError: a bad key, choice or value of any run.
        """
        text = "---\n".join(config.resolve(self._composed(name)) for name in self.experiments)
        code = self.code("report", text)
        passed = PASSED / hashlib.sha256(f"{code}\n{text}".encode()).hexdigest()
        if not passed.exists():
            self._build()
            passed.parent.mkdir(parents=True, exist_ok=True)
            passed.touch()

    def _build(self) -> None:
        import torch  # noqa: PLC0415 -- seconds that a start with nothing to do need not spend

        for name in self.experiments:
            with torch.device("meta"):
                config.check(self._composed(name))

    def _compose(self, experiment: str) -> DictConfig:
        return config.compose([f"scale={self.scale.name}", f"experiment={experiment}"])

    def _cut(self, stage: str, experiment: str, **values: object) -> str:
        cfg = self._composed(experiment).copy()
        for key, value in {"judge": self.judge(), **values}.items():
            cfg[key] = value
        return config.cut(cfg, self._sources.reads(stage))
