"""The runs of one scale: which there are, what each of their stages reads, what code it runs.

The texts made here are parameters of Snakemake's rules. A job runs again exactly when its own text
changes, so a comment in ``params/`` reruns nothing and a value reruns what it touches.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import groupby

from tcsm.errors import InputError
from tcsm.io.layout import FILES
from tcsm.io.shipped import shipped
from workflow import ablations
from workflow.ablations import Variant, experiment
from workflow.compose import Compositions
from workflow.files import SCRATCH
from workflow.inputs import Inputs, listed

# What names may be: folders, rules and patterns of the workflow are made of them.
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
EXPERIMENT = rf"[A-Za-z0-9_]+/{NAME}"
ROOT = rf"(?:{NAME}/)*{NAME}"
SINGLE = ("all", "data", "evaluate", "evaluate_first", "pin", "prepare")
RULES = (*SINGLE, "report", "sample", "train", "train_seeds")
ANY_SEED = 2**60 + 1  # stands for the seed where one text is written for all of them


class Runs:
    """The variants × seeds of a file of ``params/scale``.

    Attributes:
        scale: the content of that file.
        seeds: of every variant. One that others need and the scale does not name has the first
            alone, unless it asks for every seed.
        ablations: name → its variants.
        needed: the variants that others need and the scale does not name.
        variants: all of them by name.
        alone: those that have the first seed alone.
        together: the trained variants whose seeds share a process.
        one_by_one: the other trained variants.
        out: the folder of the report.

    Raises:
        InputError: an experiment or an ablation that does not exist or is not well formed.
    """

    def __init__(self, scale: str) -> None:
        self._made = Compositions(scale)
        self.scale = self._made.scale
        self._inputs = Inputs(self._made.remember, made=f"results/{self.scale.name}")
        self._texts = cache(self._texts_of)
        self._corpus = cache(self._corpus_files)
        self.code = cache(self._code)
        self.seeds: list[int] = list(self.scale.seeds)
        self.out = "reports" if scale == "default" else f"reports/{scale}"
        names = self.scale.get("ablations", [])
        self.ablations = {name: ablations.read(name, scale, self._made.params) for name in names}
        stages = ("train", "evaluate", "sample")
        named = [experiment(name, *stages) for name in self.scale.pretrain]
        named += [variant for group in self.ablations.values() for variant in group]
        self.needed = self._needed({variant.name: variant for variant in named})
        self.variants = {variant.name: variant for variant in named} | self.needed
        self._require_names()
        self.alone = [name for name in self.needed if len(self.seeds_of(name)) == 1]
        trained = [name for name, variant in self.variants.items() if "train" in variant.stages]
        shared = self.scale.get("together", False)
        self.together = [name for name in trained if self.variants[name].axes and shared]
        self.one_by_one = [name for name in trained if name not in self.together]

    def folder(self, name: str, seed: int | str, root: str = "results") -> str:
        """Return the folder of a run; a pattern for the wildcards "{experiment}" and "{seed}"."""
        return f"{root}/{self.scale.name}/{name}/seed-{seed}"

    def seeds_of(self, name: str) -> list[int]:
        """Return the seeds of a variant."""
        once = name in self.needed and not self._facts(name)["every_seed"]
        return self.seeds[:1] if once else self.seeds

    def folders(self, names: Iterable[str]) -> list[str]:
        """Return the folders of every seed of some variants."""
        return [self.folder(name, seed) for name in names for seed in self.seeds_of(name)]

    def records(self) -> list[str]:
        """Return the records of all runs."""
        return [
            f"{folder}/{FILES[stage]}"
            for name, variant in self.variants.items()
            for folder in self.folders([name])
            for stage in variant.stages
        ]

    def judge(self) -> str | None:
        """Return the folder of the run that scores the samples of all others, if there is one."""
        return self.folder(self.scale.judge, self.seeds[0]) if self.scale.judge else None

    def root(self, name: str) -> str | None:
        """Return the folder of the token files that a variant reads; None in a toy world."""
        root: str | None = self._facts(name)["root"]
        return root

    def reads_text(self, stage: str, name: str) -> bool:
        """Whether a stage of a variant reads token files."""
        return self.root(name) is not None and not {"data", "data.root"}.isdisjoint(
            self._made.reads(stage)
        )

    def reads_judge(self, stage: str, names: Iterable[str]) -> bool:
        """Whether a stage of some variants reads the run that scores samples."""
        judge = self.judge()
        return judge is not None and f"judge: {judge}\n" in self.text(stage, names)

    def needs(self, name: str) -> dict[str, str]:
        """Return key → the experiment whose folder it holds."""
        return dict(self._facts(name)["needs"])

    def folder_for(self, other: str, seed: int) -> str:
        """Return the folder of a needed run: the same seed's if it has all, else its only one."""
        only, *more = self.seeds_of(other)
        return self.folder(other, seed if more or len(self.seeds) == 1 else only)

    def batches(self, stage: str) -> list[list[str]]:
        """Return the variants whose runs share a process: those of an ablation's first axis."""
        variants = [variant for variant in self.variants.values() if stage in variant.stages]
        if stage == "evaluate":  # a model that was trained alone is evaluated alone
            variants = [v for v in variants if v.name in self.together or v.stages[0] == stage]
        shared = lambda variant: (variant.ablation or variant.name, variant.axes[:-1][:1])  # noqa: E731
        return [[variant.name for variant in group] for _, group in groupby(variants, key=shared)]

    def batch_name(self, batch: list[str]) -> str:
        """Return what the variants of a batch share: ABLATION or ABLATION/VALUE."""
        variant = self.variants[batch[0]]
        shared = [variant.ablation, *(value for _, value in variant.axes[:-1][:1])]
        return "/".join(map(str, shared)) if variant.axes else variant.name

    def _code(self, stage: str, *names: str) -> str:
        """Return the fingerprint of a job: of its code, and of the files of the user it reads."""
        code = self._made.code(stage, self.text(stage, names))
        return f"{code} {self._inputs.digest(self._read(stage, names))}".strip()

    def corpus_code(self, root: str) -> str:
        """Return the fingerprint of ``prepare`` for a folder of token files."""
        code = self._made.code("prepare", self.corpus_text(root))
        return f"{code} {self._inputs.digest(self._corpus(root))}".strip()

    def report_code(self) -> str:
        """Return the fingerprint of the report."""
        return self._made.code("report", self.report_text())

    def files(self, stage: str, names: Iterable[str]) -> list[str]:
        """Return the files of the user that a stage of some variants reads, without a corpus's."""
        return listed(self._read(stage, names))

    def corpus_files(self, root: str) -> list[str]:
        """Return the files of the user that ``prepare`` reads for a folder of token files."""
        return listed(self._corpus(root))

    def text(self, stage: str, names: Iterable[str], *seeds: int) -> str:
        """Return what a stage reads of some runs (of every seed if none is named), as YAML."""
        return "---\n".join(
            self._texts(name)[stage].replace(str(ANY_SEED), str(seed))
            for name in names
            for seed in seeds or self.seeds_of(name)
        )

    def corpus_text(self, root: str) -> str:
        """Return what ``prepare`` reads for a folder of token files.

        Raises:
            InputError: no experiment reads the folder, or two want different things in it.
        """
        readers = self._readers(root)
        found = [self._made.texts(variant, ["prepare"], {"out": root}) for variant in readers]
        if len({text["prepare"] for text in found}) != 1:
            names = ", ".join(variant.name for variant in readers) or "no experiment"
            raise InputError(
                f"data.root: {root} must hold one corpus in one tokenizer; it is read by {names}"
            )
        return found[0]["prepare"]

    def report_text(self) -> str:
        """Return what ``report`` reads: the folders of all runs."""
        values = {"out": self.out, "runs": self.folders(self.variants)}
        return self._made.texts(self._first(), ["report"], values)["report"]

    def page_parts(self) -> list[str]:
        """Return the files that the report is made with: template and chapters."""
        signs = {"reports/template": "page.html.j2", "reports/chapters": "generic.md"}
        folders = [shipped(folder, sign) for folder, sign in signs.items()]
        return sorted(str(p) for folder in folders for p in folder.rglob("*") if p.is_file())

    def check(self) -> None:
        """Build every variant before any job runs.

        Raises:
            InputError: a bad key, choice or value of any run.
        """
        for root in {self.root(name) for name in self.variants} - {None}:
            self.corpus_code(root)
        for name, variant in self.variants.items():
            report = {"report": self.report_text()} if variant is self._first() else {}
            self._made.check(variant, {**self._texts(name), **report})
        self._made.forget_unused()

    def _facts(self, name: str) -> dict:
        return self._made.facts(self.variants[name])

    def _first(self) -> Variant:
        return next(iter(self.variants.values()))

    def _readers(self, root: str) -> list[Variant]:
        return [variant for name, variant in self.variants.items() if self.root(name) == root]

    def _read(self, stage: str, names: Iterable[str]) -> list[str]:
        found = (
            self._inputs.files(self._made.places(stage, self.variants[name])) for name in names
        )
        return sorted({file for files in found for file in files})

    def _corpus_files(self, root: str) -> tuple[str, ...]:
        found = self._made.places("prepare", self._readers(root)[0])
        return self._inputs.of_corpus(found, self.corpus_text(root))

    def _texts_of(self, name: str) -> dict[str, str]:
        """Return stage → what it reads of any seed of a variant."""
        values = {"judge": self.judge(), "seed": ANY_SEED, "out": self.folder(name, ANY_SEED)}
        values["scratch"] = self.folder(name, ANY_SEED, SCRATCH)
        values |= {key: self.folder_for(o, ANY_SEED) for key, o in self.needs(name).items()}
        variant = self.variants[name]
        return self._made.texts(variant, variant.stages, values)

    def _require_names(self) -> None:
        """Refuse names that no rule would match."""
        for name, variant in self.variants.items():
            if not re.fullmatch(EXPERIMENT, name) or name.partition("/")[0] in RULES:
                raise InputError(
                    f"experiment: {name} must be FOLDER/NAME of letters, digits, _, . and -, and "
                    f"FOLDER none of the rules {', '.join(RULES)}"
                )
            text = any(self.reads_text(stage, name) for stage in variant.stages)
            root = self.root(name) if text else "none"
            if not re.fullmatch(ROOT, root):
                raise InputError(
                    f"data.root: {root} (of {name}) must be a folder below the work directory, of "
                    "letters, digits, _, . and -; a symbolic link there may lead elsewhere"
                )

    def _needed(self, named: dict[str, Variant]) -> dict[str, Variant]:
        """Return what these variants need and are not, and what that needs in turn."""
        found: dict[str, Variant] = {}
        waiting = list(named.values())
        while waiting:
            for name in self._made.facts(waiting.pop())["needs"].values():
                if name not in named | found:
                    variant = experiment(name)
                    stages = self._made.facts(variant)["stages"]
                    where = f"params/experiment/{name}.yaml"
                    found[name] = replace(variant, stages=ablations.known_stages(stages, where))
                    waiting.append(found[name])
        return found
