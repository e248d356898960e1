"""Tilts: post-training in a world, each method against the law that its reward asks for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from tcsm.reporting import ablations, comparisons, verdicts, wording
from tcsm.reporting.ablations import Words
from tcsm.reporting.densities import densities
from tcsm.reporting.runs import Run
from tcsm.reporting.sections.base import Block, Chart, Command, Question, Section
from tcsm.reporting.statistics import Array
from tcsm.reporting.tables import Column, Table

KEY, BETA, METHOD = "tv", "beta", "way"
MEANS = ("ess", "kl", "world_tv", "kl_to_pretrained", "reward_calls")
FIRST = (("world", "world"), ("pretrained", "pre-trained"), ("aim", "true tilted law"))
COLUMNS = (
    Column("Arm", lambda row: row.arm),
    Column("Relative ESS", lambda row: wording.share(row.ess)),
    Column("TV", lambda row: verdicts.reach(row, 4)),
    Column("Δ to ours", lambda r: wording.DASH if verdicts.is_baseline(r) else verdicts.gap(r, 4)),
    Column("KL, nats", lambda row: wording.short(row.kl)),
    Column("TV to the world's tilt", lambda row: wording.number(row.world_tv, 4)),
    Column("KL to the start", lambda row: wording.short(row.kl_to_pretrained)),
    Column("Reward calls", lambda row: wording.large(row.reward_calls)),
    Column("CPU a run", lambda row: wording.duration(row.cpu_seconds)),
)


@dataclass(frozen=True)
class Tilts(Question):
    """How near each method comes, by β. Without runs there is no section.

    Attributes:
        ours: the method that others are held against.
        goal: a total variation that counts as reached, where
        least_ess: is the least relative effective sample size.
        shown: β of the pictures.
        words: axis → value → words, in the order shown.
        command: the line that repeats the section.
    """

    ours: str
    goal: float = 0.05
    least_ess: float = 0.1
    shown: str = "0.4"
    words: Words = field(default_factory=dict)
    command: str = ""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """The section; it has no blocks, and so no place, if nothing was measured."""
        grid = ablations.read(runs, self.name, self.words)
        if grid.runs.empty or KEY not in grid.runs or grid.runs[KEY].isna().all():
            return self.section()
        mine = {(run.experiment, run.seed): run for run in runs if run.tilt}
        keys = zip(grid.runs["experiment"], grid.runs["seed"], strict=True)
        far = [_world(mine.get((str(name), int(seed)))) for name, seed in keys]
        rows = comparisons.arms(grid, KEY, {METHOD: self.ours})
        known = grid.runs.assign(world_tv=far).groupby("arm", sort=False)
        rows = rows.assign(**{key: rows["arm"].map(known[key].mean()) for key in MEANS})
        blocks: list[Block] = [Table(self.name, rows, COLUMNS, caption="tilt")]
        if pictures := self._pictures(list(mine.values())):
            chart = f"{self.name}_densities"
            blocks.append(Chart(chart, densities(pictures), caption="tilt_densities"))
        blocks.append(Command("", self.command))
        brief = self._reached(rows)
        answer = " ".join([brief, *self._against(rows), verdicts.failures(rows)]).strip()
        return self.section(blocks, answer, brief)

    def _pictures(self, runs: Sequence[Run]) -> list[tuple[str, Array]]:
        """World, start and aim, then what each method made of it, of the first seed."""
        mine = [run for run in runs if ablations.values(run).get(BETA) == self.shown]
        mine = [
            run for run in mine if ablations.is_part(run, self.name) and "pictures" in run.tilt
        ]
        first = [run for run in mine if run.seed == min(other.seed for other in mine)]
        if not first:
            return []
        told = [(words, _rows(first[0], key)) for key, words in FIRST]
        methods = {ablations.values(run)[METHOD]: run for run in first}
        order = [name for name in self.words.get(METHOD, {}) if name in methods]
        order += [name for name in methods if name not in order]
        said = [ablations.say(self.words, METHOD, name) for name in order]
        found = [_rows(methods[name], "found") for name in order]
        return told + list(zip(said, found, strict=True))

    def _reached(self, rows: pd.DataFrame) -> str:
        """Which methods meet the goal with the whole interval, which do not, which may."""
        kept = rows[rows["ess"] >= self.least_ess].dropna(subset=["value"])
        if kept.empty:
            return "No temperature has the effective sample size that the goal asks for."
        told = verdicts.goals(kept, self.goal, 4)
        told[wording.MET] = told[wording.MET] or "no method"
        goal = f"{wording.brief(self.goal)} of the true tilted law in total variation"
        words = {
            wording.MET: f"Within {goal}",
            wording.OPEN: "**Cannot be told from these seeds**",
            wording.MISSED: "**Not within**",
        }
        parts = [f"{words[verdict]}: {arms}" for verdict, arms in told.items() if arms]
        return ". ".join(parts) + "."

    def _against(self, rows: pd.DataFrame) -> list[str]:
        """For each β with other methods: who is worse than ours, who better, at equal calls."""
        told = []
        for beta, part in rows.groupby(BETA, sort=False):
            others = part[(part[METHOD] != self.ours) & part["gap_low"].notna()]
            groups = {
                "worse": others[others["gap_low"] > 0],
                "**better**": others[others["gap_high"] < 0],
                "not told apart": others[(others["gap_low"] <= 0) & (others["gap_high"] >= 0)],
            }
            said = [f"{words}: {self._named(g)}" for words, g in groups.items() if len(g)]
            if said:
                ours = ablations.say(self.words, METHOD, self.ours)
                place = ablations.say(self.words, BETA, str(beta))
                told.append(f"Against {ours} at {place}, {'; '.join(said)}.")
        return told

    def _named(self, rows: pd.DataFrame) -> str:
        return wording.listed(
            [
                f"{ablations.say(self.words, METHOD, str(row[METHOD]))} ({verdicts.gap(row, 4)})"
                for _, row in rows.iterrows()
            ]
        )


def _world(run: Run | None) -> float:
    value = run.tilt.get("world", {}).get("tv") if run else None
    return math.nan if value is None else float(value)


def _rows(run: Run, key: str) -> Array:
    return np.asarray(run.tilt["pictures"][key]["rows"], dtype=float)
