"""The runs of one scale: which there are, what each stage of them reads, what code it runs.

The texts made here are the parameters of Snakemake's rules. A job is done again exactly when its
own text changes, so a comment in ``params/`` reruns nothing and a value reruns what it touches.
"""

import re
from collections.abc import Iterable
from functools import cache
from itertools import groupby

from tcsm.errors import InputError
from tcsm.outcomes import FILES
from tcsm.shipped import shipped
from workflow import ablations
from workflow.ablations import Arm, experiment
from workflow.checks import Checks
from workflow.compositions import KEPT, Compositions
from workflow.files import BATCHED, SCRATCH
from workflow.inputs import Inputs, listed

# What names may be: folders, rules and patterns of the workflow are made of them.
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
EXPERIMENT = rf"[A-Za-z0-9_]+/{NAME}"
ROOT = rf"(?:{NAME}/)*{NAME}"
RULES = (
    "all",
    "data",
    "evaluate",
    "evaluate_first",
    "pin",
    "prepare",
    "report",
    "sample",
    "train",
    "train_seeds",
)
ANY_SEED = 2**60 + 1  # stands for the seed where one text is written for all of them


class Runs:
    """The arms × seeds of a file of ``params/scale``.

    Attributes:
        scale: the content of that file.
        seeds: of every arm; one that others need and the scale does not name has the first alone,
            unless it asks for every seed.
        ablations: name → its arms.
        needed: the arms that others need and the scale does not name; they say their stages.
        arms: all of them by name.
        alone: those that have the first seed alone.
        together: the trained arms whose seeds share a process.
        one_by_one: the other trained arms.
        out: the folder of the report.

    Raises:
        InputError: an experiment or an ablation that does not exist or is not well formed.
    """

    def __init__(self, scale: str, checks: Checks | None = None) -> None:
        self._made = Compositions(scale, checks)
        self._template = cache(self._any_seed)
        self.arm_code = cache(self._arm_code)
        self.scale = self._made.scale
        self._inputs = Inputs(KEPT / "files.json", made=f"results/{self.scale.name}")
        self._corpus = cache(self._corpus_read)
        self.seeds: list[int] = list(self.scale.seeds)
        self.out = "reports" if scale == "default" else f"reports/{scale}"
        listed = self.scale.get("ablations", [])
        self.ablations = {name: ablations.read(name, scale, self._made.params) for name in listed}
        pretrain = [
            experiment(name, "train", "evaluate", "sample") for name in self.scale.pretrain
        ]
        named = [*pretrain, *(arm for group in self.ablations.values() for arm in group)]
        self.needed = self._needed({arm.name: arm for arm in named})
        self.arms = {arm.name: arm for arm in named} | self.needed
        self._require_names()
        self.alone = [name for name in self.needed if len(self.seeds_of(name)) == 1]
        trained = [name for name, arm in self.arms.items() if "train" in arm.stages]
        self.together = [n for n in trained if self.arms[n].axes and self.scale.together]
        self.one_by_one = [name for name in trained if name not in self.together]

    def folder(self, name: str, seed: int | str, root: str = "results") -> str:
        """Where a run lives; also a pattern, for the wildcards "{experiment}" and "{seed}"."""
        return f"{root}/{self.scale.name}/{name}/seed-{seed}"

    def seeds_of(self, name: str) -> list[int]:
        """The seeds of an arm."""
        alone = name in self.needed and not self._made.every_seed(self.arms[name])
        return self.seeds[:1] if alone else self.seeds

    def folders(self, names: Iterable[str]) -> list[str]:
        """The folders of every seed of some arms."""
        return [self.folder(name, seed) for name in names for seed in self.seeds_of(name)]

    def records(self, names: Iterable[str]) -> list[str]:
        """The files in which all runs of some arms tell what came out."""
        return [
            f"{folder}/{FILES[stage]}"
            for name in names
            for folder in self.folders([name])
            for stage in self.arms[name].stages
        ]

    def judge(self) -> str | None:
        """The folder of the run that scores the samples of all others, if the scale has one."""
        return self.folder(self.scale.judge, self.seeds[0]) if self.scale.judge else None

    def root(self, name: str) -> str:
        """The folder of the token files that an arm reads."""
        return self._made.root(self.arms[name])

    def reads_text(self, stage: str) -> bool:
        """Whether a stage reads token files."""
        return not {"data", "data.root"}.isdisjoint(self._made.reads(stage))

    def asks_judge(self, stage: str) -> bool:
        """Whether a stage asks the run that scores samples."""
        return "judge" in self._made.reads(stage)

    def needs(self, name: str) -> dict[str, str]:
        """Key → the experiment whose folder it holds."""
        return self._made.needs(self.arms[name])

    def folder_for(self, other: str, seed: int) -> str:
        """Of a run that is needed: the same seed's, if it has all, else its only one."""
        only, *more = self.seeds_of(other)
        return self.folder(other, seed if more or len(self.seeds) == 1 else only)

    def batches(self, stage: str) -> list[list[str]]:
        """Arms whose runs share a process: an ablation, by its first axis if it has several."""
        arms = [arm for name, arm in self.arms.items() if stage in arm.stages]
        if stage == "evaluate":  # a model that was trained alone is evaluated alone
            arms = [arm for arm in arms if arm.name in self.together]
        grouped = groupby(arms, key=lambda arm: (arm.ablation or arm.name, arm.axes[:-1][:1]))
        return [[arm.name for arm in group] for _, group in grouped]

    def batch_name(self, batch: list[str]) -> str:
        """What the arms of a batch share: an ablation, with a value if it has several axes."""
        arm = self.arms[batch[0]]
        shared = [arm.ablation, *(value for _, value in arm.axes[:-1][:1])]
        return "/".join(map(str, shared)) if arm.axes else arm.name

    def code(self, stage: str, text: str) -> str:
        """The fingerprint of the code that a stage runs with a configuration."""
        return self._made.code(stage, text)

    def _arm_code(self, stage: str, name: str) -> str:
        """That of an arm, with its files; it is the same for all seeds."""
        return self._with(self.code(stage, self._template(stage, name)), self._read(stage, [name]))

    def batch_code(self, stage: str, batch: list[str]) -> str:
        """That of a batch, with its files."""
        return self._with(self.code(stage, self.run_text(stage, batch)), self._read(stage, batch))

    def corpus_code(self, root: str) -> str:
        """That of ``prepare`` for a folder of token files, with its files."""
        return self._with(self.code("prepare", self.corpus_text(root)), self._corpus(root))

    def _with(self, code: str, files: Iterable[str]) -> str:
        """A fingerprint of code and of the files that it reads."""
        return " ".join(filter(None, [code, self._inputs.digest(files)]))

    def files(self, stage: str, names: Iterable[str]) -> list[str]:
        """The files of the user that a stage reads of some arms, but for those of the corpus."""
        return listed(self._read(stage, names))

    def corpus_files(self, root: str) -> list[str]:
        """The files of the user that ``prepare`` reads for a folder of token files."""
        return listed(self._corpus(root))

    def _read(self, stage: str, names: Iterable[str]) -> list[str]:
        found = (self._inputs.files(self._made.places(stage, self.arms[name])) for name in names)
        return sorted({file for files in found for file in files})

    def _corpus_read(self, root: str) -> tuple[str, ...]:
        text = self.corpus_text(root)
        reader = next(arm for name, arm in self.arms.items() if self.root(name) == root)
        return self._inputs.of_corpus(self._made.places("prepare", reader), text)

    def run_text(self, stage: str, names: Iterable[str], *seeds: int) -> str:
        """What a stage reads of some runs (of every seed, if none is named), a document each."""
        return "---\n".join(
            self._template(stage, name).replace(str(ANY_SEED), str(seed))
            for name in names
            for seed in seeds or self.seeds_of(name)
        )

    def _any_seed(self, stage: str, name: str) -> str:
        out = self.folder(name, ANY_SEED)
        scratch = self.folder(name, ANY_SEED, SCRATCH)
        open_ = {"judge": self.judge(), "seed": ANY_SEED, "out": out, "scratch": scratch}
        needed = {k: self.folder_for(o, ANY_SEED) for k, o in self.needs(name).items()}
        return self._made.text(stage, self.arms[name], {**open_, **needed})

    def corpus_text(self, root: str) -> str:
        """What ``prepare`` reads for a folder of token files.

        Raises:
            InputError: no experiment reads the folder, or two want different things in it.
        """
        readers = [name for name in self.arms if self.root(name) == root]
        texts = {self._made.text("prepare", self.arms[name], {"out": root}) for name in readers}
        if len(texts) != 1:
            found = ", ".join(readers) or "no experiment"
            raise InputError(
                f"data.root: {root} must hold one corpus in one tokenizer; it is read by {found}"
            )
        return texts.pop()

    def report_text(self) -> str:
        """What ``report`` reads: the folders of all runs."""
        first = next(iter(self.arms.values()))
        return self._made.text("report", first, {"out": self.out, "runs": self.folders(self.arms)})

    def page_parts(self) -> list[str]:
        """The template and the chapters of the page."""
        signs = {"reports/template": "page.html.j2", "reports/chapters": "generic.md"}
        folders = [shipped(folder, sign) for folder, sign in signs.items()]
        return sorted(str(p) for folder in folders for p in folder.rglob("*") if p.is_file())

    def check(self) -> None:
        """Build every arm before any job runs, and keep what was composed.

        Raises:
            InputError: a bad key, choice or value of any run.
        """
        for root in {self.root(name) for name in self.arms}:
            self.corpus_code(root)
        first = next(iter(self.arms))
        for name, arm in self.arms.items():
            texts = {stage: self._template(stage, name) for stage in arm.stages}
            if name == first:
                texts["report"] = self.report_text()
            self._made.check(arm, texts)
        self._fingerprint()
        self._made.save()
        self._inputs.save()

    def _fingerprint(self) -> None:
        """Hash the code and the files of all jobs, to be kept with the rest."""
        for name, arm in self.arms.items():
            for stage in arm.stages:
                self.arm_code(stage, name)
        for stage in BATCHED:
            for batch in self.batches(stage):
                self.batch_code(stage, batch)

    def _require_names(self) -> None:
        """Refuse names that no rule would match."""
        for name, arm in self.arms.items():
            if not re.fullmatch(EXPERIMENT, name) or name.partition("/")[0] in RULES:
                raise InputError(
                    f"experiment: {name} must be FOLDER/NAME of letters, digits, _, . and -, and "
                    f"FOLDER none of the rules {', '.join(RULES)}"
                )
            root = self.root(name) if any(map(self.reads_text, arm.stages)) else "none"
            if not re.fullmatch(ROOT, root):
                raise InputError(
                    f"data.root: {root} (of {name}) must be a folder below the work directory, of "
                    "letters, digits, _, . and -; a symbolic link there may lead elsewhere"
                )

    def _needed(self, named: dict[str, Arm]) -> dict[str, Arm]:
        """What these arms need and are not, and what that needs in turn."""
        found: dict[str, Arm] = {}
        waiting = list(named.values())
        while waiting:
            for name in self._made.needs(waiting.pop()).values():
                if name not in named | found:
                    found[name] = self._made.with_stages(experiment(name))
                    waiting.append(found[name])
        return found
