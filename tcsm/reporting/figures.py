"""Figures: lines over an axis and points by variant, from frames, saved as SVG, PDF and PNG.

Figures are 4.6 in wide, legible on a phone; colors are safe for the color-blind (Okabe and Ito)
and follow the order of the models, in every figure.
"""

import inspect
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis as Ticks
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, NullFormatter, NullLocator

from tcsm import formatting
from tcsm.io.atomic import write_atomic
from tcsm.reporting.tables import Row, frame_of
from tcsm.statistics import over_seeds

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5D4E9D", "#444444")
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True, "axes.edgecolor": "#8a8f98", "axes.grid": True,
    "axes.labelcolor": "#333842", "axes.spines.right": False, "axes.spines.top": False,
    "font.size": 10.0, "grid.color": "#e7e9ee", "grid.linewidth": 0.8,
    "legend.fontsize": 9.0, "legend.frameon": False, "legend.labelcolor": "#333842",
    "lines.linewidth": 1.8, "pdf.fonttype": 42, "svg.fonttype": "none",
    "text.parse_math": False, "xtick.color": "#555b66", "ytick.color": "#555b66",
}  # fmt: skip
DASHES = ("", (5, 1.5), (1.5, 1.2), (6, 1.5, 1.5, 1.5))
UNDATED = {"svg": ("Date", "Creator", "Format", "Type"), "pdf": ("CreationDate",), "png": ()}
RANGE = ("pi", 100)
FEW = 16  # points of a line, or rows of variants, that still have room
PLAIN = FuncFormatter(lambda value, _: formatting.brief(value))


@dataclass(frozen=True)
class Axis:
    """A column of a frame, its label with the unit; whether it is logarithmic, more is better."""

    key: str
    label: str
    log: bool = False
    more: bool = False


@dataclass(frozen=True)
class Drawn:
    """A figure, and what the page draws it from again: the plot, its arguments, its rows."""

    figure: Figure
    chart: Mapping[str, Any]
    rows: pd.DataFrame


def draw(plot: Callable[..., Figure], rows: Iterable[Row], *args: Any, **options: Any) -> Drawn:  # noqa: ANN401 -- the plot's
    """Draw a figure, and keep its arguments and the columns that it shows."""
    frame = frame_of(rows)
    call = inspect.signature(plot).bind(frame, *args, **options)
    call.apply_defaults()
    given = [value for key, value in call.arguments.items() if key != "frame"]
    shown = {value.key if isinstance(value, Axis) else str(value) for value in given}
    kept = frame[[key for key in frame if key in shown | {"variant", "seed"}]]
    chart = {k: asdict(v) if isinstance(v, Axis) else v for k, v in call.arguments.items()}
    table = json.loads(kept.to_json(orient="split", index=False, double_precision=15))
    chart |= {"plot": plot.__name__, "frame": table}
    return Drawn(plot(*call.args, **call.kwargs), chart, kept)


def spoken(drawn: Drawn) -> str:
    """Return the numbers of a figure in words, least first: means by variant, where lines end."""
    chart, rows, last = drawn.chart, drawn.rows, ""
    axis = next((chart[key] for key in ("value", "quality", "y", "x") if key in chart), None)
    if axis is None:
        return ""
    by = [chart[key]["key"] for key in ("row", "column") if key in chart] or ["variant"]
    if "y" in chart:
        x = chart["x"]["key"]
        rows = rows[rows[x] == rows.groupby("variant")[x].transform("max")]
        last = ", where the lines end"
    means = rows.groupby(by, sort=False)[axis["key"]].mean().dropna().sort_values()
    named = ((name if isinstance(name, tuple) else (name,), mean) for name, mean in means.items())
    texts = [f"{', '.join(map(str, name))} {formatting.number(mean)}" for name, mean in named]
    texts = texts if len(texts) <= FEW else [*texts[:3], "…", *texts[-3:]]
    return f"Means, least first{last}: " + "; ".join(texts) if texts else ""


def lines(
    frame: pd.DataFrame, x: Axis, y: Axis, order: Sequence[str] = (), band: tuple[str, int] = RANGE
) -> Figure:
    """Draw the mean over seeds of ``y`` against ``x``, a line each, in a band."""
    order, present = _present(frame, order)
    styles = {one: DASHES[(at + at // len(PALETTE)) % len(DASHES)] for at, one in enumerate(order)}
    groups: dict[str, Any] = {"hue": "variant", "hue_order": present, "palette": colors_of(order)}
    groups |= {"style": "variant", "style_order": present, "dashes": styles}
    groups |= {"markers": ["o"] * len(present) if frame[x.key].nunique() <= FEW else False}
    groups |= {"errorbar": band, "err_kws": {"alpha": 0.15, "linewidth": 0}}
    with mpl.rc_context(STYLE):
        figure, axes = canvas(2.9 + 0.2 * math.ceil(len(present) / 2))
        sns.lineplot(data=frame, x=x.key, y=y.key, ax=axes, **groups)
        label(axes, x, y)
        _mark(axes, x, sorted(map(float, frame[x.key].unique())))
        axes.legend().remove()
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, handlelength=2.6)
    return figure


def by_variant(
    frame: pd.DataFrame, x: Axis, order: Sequence[str] = (), color: str = "variant"
) -> Figure:
    """Draw every seed as a point, a row each, over the mean and its 95 % interval.

    A mean of more than twice the median is written at the edge. Colors are by column ``color``.
    """
    order, present = _present(frame, order)
    groups = {variant: frame.loc[frame["variant"] == variant] for variant in present}
    colors = colors_of(order if color == "variant" else list(pd.unique(frame[color])))
    means = {variant: over_seeds(runs[x.key]) for variant, runs in groups.items()}
    far = math.inf if x.log else 2 * float(np.median([mean.value for mean in means.values()]))
    few = len(present) <= FEW // 2
    with mpl.rc_context(STYLE):
        figure, axes = canvas(0.8 + (0.38 if few else 0.27) * len(present))
        label(axes, x, Axis("", ""))
        axes.xaxis.label.set(x=1, ha="right")  # the names of the variants leave room on the left
        for row, (variant, mean) in enumerate(means.items()):
            runs = groups[variant]
            tint = colors[runs[color].iloc[0]]
            if mean.value > far > 0:
                text, edge = f"{formatting.number(mean.value, 2)} →", axes.get_yaxis_transform()
                axes.text(0.99, row, text, color=tint, ha="right", va="center", transform=edge)
                continue
            axes.plot([mean.low, mean.high], [row, row], color=tint, alpha=0.35, lw=6)
            axes.plot(mean.value, row, "|", color=tint, markersize=14, markeredgewidth=2.4)
            axes.plot(runs[x.key], [row] * len(runs), "o", color=tint, ms=5, mec="white")
        axes.set_yticks(range(len(present)), present, size=10 if few else 8.5)
        axes.set_ylim(len(present) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
    return figure


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write ``NAME.svg``, PDF and PNG, equal bytes for equal figures; return the first."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        for kind, fields in UNDATED.items():
            drawn = io.BytesIO()  # write_atomic reports a full disk, matplotlib may not
            figure.savefig(drawn, format=kind, metadata=dict.fromkeys(fields), dpi=200)
            write_atomic(folder / f"{name}.{kind}", drawn.getvalue())
    return folder / f"{name}.svg"


def tabulate(path: Path, rows: Sequence[Sequence[str]], widths: Sequence[float]) -> None:
    """Write a table, its first row the headers, as a PDF; columns are so many points wide."""
    places, high = np.cumsum([4.0, *widths]), 16.0 * len(rows) + 4
    with mpl.rc_context({**STYLE, "pdf.fonttype": 3}):  # four times as fast as 42
        figure = Figure(figsize=(places[-1] / 72, high / 72))
        for row, cells in enumerate(rows):
            y = 1 - (16 * row + 14) / high
            for cell, x in zip(cells, places, strict=False):
                weight = "bold" if hasattr(cell, "strong") or not row else "normal"
                figure.text(x / places[-1], y, cell, size=9, weight=weight)
        y = 1 - 18 / high
        figure.add_artist(Line2D([0.01, 0.99], [y, y], color="#8a8f98", lw=0.8))
        drawn = io.BytesIO()
        figure.savefig(drawn, format="pdf", metadata=dict.fromkeys(UNDATED["pdf"]))
    write_atomic(path, drawn.getvalue())


def inline(svg: str, name: str) -> str:
    """Return an SVG without prologue and size for a page: ids of its own, colors by variables."""
    body = svg[svg.index("<svg") :]
    for size in ("width", "height"):
        body = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", body, count=1)
    for mark in (' id="', 'href="#', "url(#"):
        body = body.replace(mark, f"{mark}{name}-")
    return re.sub(r": #([0-9a-f]{6})(?=[;\"])", r": var(--c-\1, #\1)", body)


def canvas(height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of the common width."""
    figure = Figure(figsize=(4.6, height), layout="constrained")
    return figure, figure.subplots()


def colors_of(order: Sequence[str]) -> dict[str, str]:
    """Return name → color, by its place in the order."""
    return {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(order)}


def label(axes: Axes, x: Axis, y: Axis) -> None:
    """Label both axes and make them logarithmic where they say so."""
    axes.set(xlabel=x.label, ylabel=y.label)
    for axis, scale, ticks in ((x, axes.set_xscale, axes.xaxis), (y, axes.set_yscale, axes.yaxis)):
        if axis.log:
            scale("log")
            logarithmic(ticks)


def _present(frame: pd.DataFrame, order: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the variants in their order, and those of them that have runs."""
    known = list(pd.unique(frame["variant"]))
    order = list(order) or known
    return order, [variant for variant in order if variant in known]


def _mark(axes: Axes, x: Axis, places: Sequence[float]) -> None:
    """Label ticks of the x axis with plain numbers; each of few on a logarithmic axis."""
    if x.log and len(places) <= FEW // 2:
        axes.set_xticks(places)
        axes.xaxis.set_minor_locator(NullLocator())
    elif x.log:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(PLAIN)


def logarithmic(axis: Ticks) -> None:
    """Label powers of ten with plain numbers, and places between if there are few powers."""
    axis.set_major_formatter(PLAIN)
    axis.set_minor_formatter(_Between(minor_thresholds=(1.5, 0.6)))


class _Between(LogFormatter):
    """Labels ticks between powers of ten where an axis holds too few of these."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return a plain number, or nothing where there is no room."""
        return formatting.brief(round(x, 12)) if super().__call__(x, pos) else ""
