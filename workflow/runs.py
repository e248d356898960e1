"""The runs of one scale: which there are, what a job of theirs reads, writes and runs.

The texts made here are parameters of Snakemake's rules. A job runs again exactly when its own text
changes, so a comment in ``params/`` reruns nothing and a value reruns what it touches.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from math import ceil
from typing import Any

from tcsm.errors import InputError
from tcsm.io.layout import CONFIG, FILES, PRODUCTS, written
from tcsm.io.shipped import shipped
from workflow import ablations
from workflow.ablations import experiment, known_stages
from workflow.compose import Compositions, Text

# What names may be: folders and patterns of the workflow are made of them.
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
EXPERIMENT = rf"[A-Za-z0-9_]+/{NAME}"
SCRATCH = "results/.scratch"  # where a training keeps its state
SPLITS = ("train.tok", "valid.tok", "test.tok")
MANIFEST = "results/manifests/{root}.sha256"  # checksums of the token files of a folder
TOGETHER = 16  # the most trained runs that one process evaluates or samples from
ANY_SEED = 2**60 + 1  # stands for the seed where one text is written for all of them


class Runs:
    """The variants × seeds of a file of ``params/scale``, whose content is ``scale``.

    ``variants`` are those that it names and those that these need; of the latter some have the
    first seed ``alone``. ``together``: the seeds of a variant share a process. ``judge`` is the
    folder of the run that scores all samples, ``out`` that of the report.
    """

    def __init__(self, scale: str, helps: bool = False) -> None:
        self._made = made = Compositions(scale)
        self.scale, self.seeds = made.scale, list(made.scale.seeds)
        self.together = bool(self.scale.get("together", False))
        self.out = "reports" if scale == "default" else f"reports/{scale}"
        self.facts = cache(lambda name: made.facts(self.variants[name]))
        self.texts, self.corpus = cache(self._texts), cache(self._corpus)
        named = [experiment(name, "train", "evaluate", "sample") for name in self.scale.pretrain]
        for ablation in self.scale.get("ablations", []):
            named += ablations.read(ablation, scale, made.params)
        self.variants = {variant.name: variant for variant in named}
        for name in self.variants if helps else ():
            self.facts(name)
        once = [name for name in self._add_needed() if not self.facts(name)["every_seed"]]
        self.alone = once if len(self.seeds) > 1 else []
        self.judge = self.folder(self.scale.judge, self.seeds[0]) if self.scale.judge else None
        self.jobs = [(name, s) for name, v in self.variants.items() for s in v.stages]

    def folder(self, name: str, seed: int | str, root: str = "results") -> str:
        """Return the folder of a run, which may have no other seed, or a pattern of folders."""
        seed = self.seeds[0] if name in self.alone else seed
        return f"{root}/{self.scale.name}/{name}/seed-{seed}"

    def folders(self, names: Iterable[str]) -> list[str]:
        """Return the folders of every seed of some variants."""
        return [self.folder(name, seed) for name in names for seed in self.seeds_of(name)]

    def seeds_of(self, name: str) -> list[int]:
        """Return the seeds of a variant."""
        return self.seeds[:1] if name in self.alone else self.seeds

    def records(self) -> list[str]:
        """Return the records of all runs."""
        return [f"{at}/{FILES[stage]}" for name, stage in self.jobs for at in self.folders([name])]

    def outputs(self, stage: str, names: Iterable[str]) -> list[str]:
        """Return what a stage of some variants writes; their first the configuration too."""
        files = {n: [*written(stage), *[CONFIG] * (self._first(n) == stage)] for n in names}
        return [f"{at}/{f}" for name in files for at in self.folders([name]) for f in files[name]]

    def kept(self, folder: str) -> list[str]:
        """Return what DVC keeps of the runs below a folder: all outputs but their times."""
        jobs = [(name, stage) for name, stage in self.jobs if name.startswith(f"{folder}/")]
        files = {file for name, stage in jobs for file in self.outputs(stage, [name])}
        return sorted(file for file in files if "telemetry" not in file)

    def large(self, stage: str, names: list[str], *seeds: int) -> list[str]:
        """Return the large files that a job reads; each has a small one that changes with it."""
        files = {f"{root}/{split}" for root in self._roots(stage, names) for split in SPLITS}
        for folder, first in self._earlier(stage, names, seeds):
            files |= {f"{folder}/{file}" for file in PRODUCTS.get(first, ())}
        return sorted(files)

    def small(self, stage: str, names: list[str], *seeds: int) -> list[str]:
        """Return the small ones: records of other runs, checksums of token files."""
        records = {f"{at}/{FILES[first]}" for at, first in self._earlier(stage, names, seeds)}
        return sorted(records | {MANIFEST.format(root=root) for root in self._roots(stage, names)})

    def batches(self, stage: str) -> Iterator[tuple[str, list[str]]]:
        """Yield runs that share a process, under what they share: a folder, or an ablation's axis.

        Trained ones are cut into parts, so that a long evaluation does not hold up the report.
        """
        groups: dict[str, list[str]] = {}
        for name, variant in self.variants.items():
            folder, made = name.partition("/")[0], variant.stages[0] == stage
            if variant.axes:
                key = "/".join([folder, *(value for _, value in variant.axes[:-1][:1])])
            else:  # what is made here may be needed by the next, and shares nothing
                key = folder if self.together and not made else name
            if stage in variant.stages and (self.together or made or name in self.alone):
                groups.setdefault(key, []).append(name)
        for key, members in groups.items():
            trained = any("train" in self.variants[name].stages for name in members)
            most = max(TOGETHER // len(self.seeds), 1) if trained else len(members)
            size = ceil(len(members) / ceil(len(members) / most))
            for at in range(0, len(members), size):
                yield f"{key}/part-{at // size + 1}" if at else key, members[at : at + size]

    def text(self, stage: str, names: Iterable[str], *seeds: int) -> str:
        """Return what a stage reads of some runs (of every seed if none is named), as YAML."""
        return "---\n".join(
            self.texts(name, stage)[0].replace(str(ANY_SEED), str(seed))
            for name in names
            for seed in seeds or self.seeds_of(name)
        )

    def code(self, stage: str, names: Iterable[str], *_: int) -> str:
        """Return the fingerprint of a job: of its code, and of the files of the user it reads."""
        paths = {(key, word) for name in names for key, word in self.texts(name, stage)[1]}
        return self._made.code(stage, self.text(stage, names), paths)

    def roots(self) -> list[str]:
        """Return the folders of all token files that are read."""
        roots = sorted({root for name, stage in self.jobs for root in self._roots(stage, [name])})
        for root in roots:
            if not re.fullmatch(rf"(?:{NAME}/)*{NAME}", root):
                raise InputError(
                    f"data.root: {root} must be a folder below the work directory, of letters, "
                    "digits, _, . and -; a symbolic link there may lead elsewhere"
                )
        return roots

    def _corpus(self, root: str) -> tuple[str, str]:
        """Return text and code of ``prepare`` for some token files."""
        readers = [v for name, v in self.variants.items() if self.facts(name)["root"] == root]
        texts = [self._made.text(reader, "prepare", {"out": root}) for reader in readers]
        text, paths = texts[0]
        if any(other != text for other, _ in texts):
            names = ", ".join(reader.name for reader in readers)
            raise InputError(
                f"data.root: {root} must hold one corpus in one tokenizer; it is read by {names}"
            )
        return text, self._made.code("prepare", text, paths)

    def report(self) -> tuple[str, str]:
        """Return text and code of ``report``, which reads the folders of all runs."""
        values = {"out": self.out, "runs": self.folders(self.variants)}
        first = next(iter(self.variants.values()))
        text, _ = self._made.text(first, "report", values)
        return text, self._made.code("report", text)

    def page_parts(self) -> list[str]:
        """Return the files that the report is made with: template and chapters."""
        signs = {"reports/template": "page.html.j2", "reports/chapters": "generic.md"}
        folders = [shipped(folder, sign) for folder, sign in signs.items()]
        return sorted(str(p) for folder in folders for p in folder.rglob("*") if p.is_file())

    def check(self, helps: bool = False) -> None:
        """Build every variant before any job runs; a process that helps starts from the front."""
        for name in self.variants if helps else reversed(self.variants):
            variant, root = self.variants[name], self.facts(name)["root"]
            self._made.check(variant, {s: self.texts(name, s)[0] for s in variant.stages})
            if root:
                self._made.text(variant, "prepare", {"out": root})
        for root in self.roots():
            self.corpus(root)
        self._made.check(next(iter(self.variants.values())), {"report": self.report()[0]})

    def _first(self, name: str) -> str:
        return self.variants[name].stages[0]

    def _roots(self, stage: str, names: Iterable[str]) -> list[str]:
        """Return the folders of the token files that a stage reads."""
        reads = not {"data", "data.root"}.isdisjoint(self._made.reads(stage))
        roots = {self.facts(name)["root"] for name in names} if reads else set()
        return sorted(roots - {None})  # a toy world has none

    def _earlier(self, stage: str, names: list[str], seeds: tuple[int, ...]) -> Iterator[Any]:
        """Yield the folders of the runs that a job waits for, and the first stage of each."""
        if self.judge and f"judge: {self.judge}\n" in self.text(stage, names):
            yield self.judge, self._first(self.scale.judge)
        for name, seed in ((n, s) for n in names for s in seeds or self.seeds_of(n)):
            for other in self.facts(name)["needs"].values():
                yield self.folder(other, seed), self._first(other)
            if self._first(name) != stage:
                yield self.folder(name, seed), self._first(name)

    def _texts(self, name: str, stage: str) -> Text:
        """Return what a stage reads of any seed of a variant, and the paths in it."""
        values = {"judge": self.judge, "seed": ANY_SEED, "out": self.folder(name, ANY_SEED)}
        values["scratch"] = self.folder(name, ANY_SEED, SCRATCH)
        needs = self.facts(name)["needs"].items()
        values |= {key: self.folder(other, ANY_SEED) for key, other in needs}
        return self._made.text(self.variants[name], stage, values)

    def _add_needed(self) -> list[str]:
        """Add what the variants need, and what that needs in turn; return the names."""
        added, waiting = [], [*self.variants]
        while waiting:
            for name in self.facts(waiting.pop())["needs"].values():
                if name not in self.variants:
                    stages = self._made.facts(experiment(name))["stages"]
                    stages = known_stages(stages, f"params/experiment/{name}.yaml")
                    self.variants[name] = experiment(name, *stages)
                    added.append(name)
                    waiting.append(name)
        return added


if __name__ == "__main__":  # half of what another process composes, from its other end
    Runs(sys.argv[1], helps=True).check(helps=True)
