"""Compare trained runs by their records: bits per character, and paired differences.

    Δ = Σ (b − b′) / (ln 2 Σ characters)        over the same sequences, with a 95 % interval

The interval is over the sequences of the split: another text of the same kind. It holds for these
weights; what another seed would give is seen by comparing runs of several seeds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tcsm.errors import InputError
from tcsm.io.records import Record
from tcsm.runs.run import Run
from tcsm.statistics import Estimate, ratio

USAGE = "tcsm compare RUN RUN [RUN ...], the folders of evaluated runs; the first is the baseline"
SPLIT = "test"


def main(arguments: Sequence[str]) -> int:
    """Print a row of each run: its rate, and its difference from the first run.

    Raises:
        InputError: Fewer than two folders, a run that is not evaluated, or other sequences.
    """
    folders = [Path(argument) for argument in arguments]
    if len(folders) < 2:
        raise InputError(f"compare: found {len(folders)} folders; type {USAGE}")
    records = [_likelihood(folder) for folder in folders]
    width = max(len(str(folder)) for folder in folders)
    print(f"{'run':<{width}}  {SPLIT} BPC          difference [95 % interval]")
    for folder, record in zip(folders, records, strict=True):
        rate = _rate(record)
        row = f"{folder!s:<{width}}  {rate.value:.3f} ± {_half(rate):.3f}"
        if folder is not folders[0]:
            row += f"    {_shown(_difference(record, records[0], folder, folders[0]))}"
        print(row)
    return 0


def _likelihood(folder: Path) -> Record:
    """Return the likelihood in the record of an evaluation.

    Raises:
        InputError: No such run, or it was evaluated without the likelihood.
    """
    if not folder.is_dir():
        raise InputError(f"compare: {folder} does not exist; name the folders of evaluated runs")
    measured: Record = Run(folder).record("evaluate").get("metrics", {}).get("likelihood", {})
    if not measured:
        raise InputError(
            f"compare: {folder} holds no likelihood; run tcsm evaluate out={folder} first"
        )
    return measured


def _rate(record: Record, other: Record | None = None) -> Estimate:
    """Return bits per character, or those of one record minus those of another."""
    own = record["splits"][SPLIT]
    nats = np.asarray(own["nats"], dtype=np.float64)
    if other is not None:
        nats = nats - np.asarray(other["splits"][SPLIT]["nats"], dtype=np.float64)
    return ratio(nats, np.asarray(own["chars"], dtype=np.float64))


def _difference(record: Record, first: Record, folder: Path, baseline: Path) -> Estimate:
    """Return the paired difference of two runs.

    Raises:
        InputError: They were evaluated on other sequences.
    """
    for name, one, other in (
        ("data.root", *(part["data_sha256"][SPLIT] for part in (record, first))),
        ("data.length", record["length"], first["length"]),
        (
            "evaluation.sequences",
            *(part["splits"][SPLIT]["sequences"] for part in (record, first)),
        ),
    ):
        if one != other:
            raise InputError(
                f"compare: {folder} and {baseline} were evaluated with {name} of {_cut(one)} and "
                f"{_cut(other)}; evaluate both alike"
            )
    return _rate(record, first)


def _cut(value: Any) -> str:  # noqa: ANN401 -- a number or a hash
    return str(value)[:12]


def _half(rate: Estimate) -> float:
    """Return half of the width of the 95 % interval."""
    return (rate.high - rate.low) / 2


def _shown(difference: Estimate) -> str:
    bounds = f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    if difference.low > 0:
        return f"{bounds}  worse than the first"
    return f"{bounds}  {'better than the first' if difference.high < 0 else 'not significant'}"
