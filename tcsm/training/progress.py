"""The progress of a training: a bar on a terminal, plain lines in a log or a pipe."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm


class Progress:
    """One line on stderr: redrawn on a terminal, repeated every few seconds elsewhere.

    ``kjv/score seed 0  step 120/640  loss 2.913  valid 3.010 BPC  31.2k tok/s  ETA 00:14``

    Args:
        label: Name of the run.
        every: Seconds between two lines that are not redrawn.
    """

    def __init__(self, label: str, every: float = 5.0) -> None:
        self.label, self.every = label, every
        self.valid = ""
        self._shown = -1e9
        self._bar: Any = None

    def begin(self, steps: int, journal: Path) -> None:
        """Print the number of steps and the file that metrics are appended to."""
        print(f"{self.label}  {steps} steps  journal {journal}", file=sys.stderr, flush=True)

    def note(self, row: Mapping[str, object]) -> None:
        """Keep the validation of a row of metrics, if there is one, for the next lines."""
        if "valid_bpc" in row:
            self.valid = f"valid {row['valid_bpc']:.3f} BPC  "

    def __call__(self, step: int, steps: int, loss: float, speed: float, left: float) -> None:
        """Show step, loss, last validation, speed and time left."""
        words = f"loss {loss:.3f}  {self.valid}{tqdm.format_sizeof(speed)} tok/s"
        words += f"  ETA {tqdm.format_interval(left)}"
        now = time.monotonic()
        if sys.stderr.isatty():
            self._redraw(step, steps, words)
        elif step >= steps or now - self._shown >= self.every:
            self._shown = now
            line = f"{self.label}  step {step}/{steps}  {words}"
            print(line, file=sys.stderr, flush=True)

    def _redraw(self, step: int, steps: int, words: str) -> None:
        if self._bar is None:
            form = "{desc} {bar:20} {n_fmt}/{total_fmt} {unit}"
            self._bar = tqdm(total=steps, desc=self.label, bar_format=form, dynamic_ncols=True)
        self._bar.unit, self._bar.n = words, step
        self._bar.refresh()

    def close(self) -> None:
        """End the line of the terminal."""
        if self._bar is not None:
            self._bar.close()
