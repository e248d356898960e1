"""Ticks: plain numbers at axes, also where a logarithmic one holds few powers of ten."""

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogFormatter

from tcsm.reporting import wording

PLAIN = FuncFormatter(lambda value, _: wording.brief(value))


class Between(LogFormatter):
    """Names places between powers of ten where an axis holds too few of these."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """A plain number, or nothing where there is no room."""
        return wording.brief(round(x, 12)) if super().__call__(x, pos) else ""


def logarithmic(axis: Axis) -> None:
    """Plain numbers at powers of ten, and between them if there are few."""
    axis.set_major_formatter(PLAIN)
    axis.set_minor_formatter(Between(minor_thresholds=(1.5, 0.6)))
