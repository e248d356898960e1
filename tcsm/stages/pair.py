"""Convert a file of preferences into a folder of pairs, for feed=pair_file.

Writes token file and rewards as a collection does, rows of [winner | loser] with rewards of zero,
and ``pair.json``.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from omegaconf import DictConfig

from tcsm.config import build
from tcsm.data.buffer import unweighted, write_buffer
from tcsm.data.preferences import read_preferences
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.runs.run import Run
from tcsm.training.telemetry import Stopwatch, describe

READS = ("experiment", "axes", "seed", "out", "preferences", "tokenizer", "data.length")


def main(cfg: DictConfig, out: Path) -> None:
    """Read all lines, then write.

    Raises:
        InputError: No file is named, or a line of it is no pair; nothing is written then.
    """
    if cfg.preferences is None:
        raise InputError("preferences: found null; stage pair needs a file of JSON lines there")
    watch, path = Stopwatch(), Path(cfg.preferences)
    tokenizer: Tokenizer = build(cfg.tokenizer)
    preferences = read_preferences(path, tokenizer, cfg.data.length)
    count, short = len(preferences.rows), int((preferences.lengths < cfg.data.length).sum())
    if preferences.cut:
        words = f"{preferences.cut} of {2 * count} texts were longer than data.length and were cut"
        print(f"tcsm: pair: {words} to {cfg.data.length} tokens", file=sys.stderr)
    if short:
        words = f"{short} of {2 * count} texts are shorter than data.length = {cfg.data.length}"
        print(f"tcsm: pair: {words}; their padding is not trained on", file=sys.stderr)
    rewards = torch.zeros(count, dtype=torch.float64)
    buffer = replace(unweighted(preferences.rows, rewards), lengths=preferences.lengths)
    digest = write_buffer(out, buffer, tokenizer, path.name)
    record = {
        "count": count,
        "length": cfg.data.length,
        "cut": preferences.cut,
        "padded": short,
        "sha256": digest,
    }
    telemetry = describe(watch, preferences.rows.numel(), torch.device("cpu"))
    Run(out, cfg).write("pair", record, telemetry)
