"""A collection of the pairs of a file of preferences."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from tcsm.data.buffer import unweighted, write_buffer
from tcsm.data.header import read_header
from tcsm.data.preferences import read_preferences
from tcsm.data.tokenizers import Tokenizer
from tcsm.io.layout import TOKENS
from tcsm.runs.run import Run
from tcsm.training.telemetry import Stopwatch, describe


def write_pairs(run: Run, tokenizer: Tokenizer) -> None:
    """Read all lines, then write them and their record.

    Raises:
        InputError: A line is no pair; nothing is written then.
    """
    watch, path, length = Stopwatch(), Path(run.config.preferences), run.config.data.length
    preferences = read_preferences(path, tokenizer, length)
    count, short = len(preferences.rows), int((preferences.lengths < length).sum())
    if preferences.cut:
        words = f"{preferences.cut} of {2 * count} texts were longer than data.length and were cut"
        print(f"tcsm: collect: {words} to {length} tokens", file=sys.stderr)
    if short:
        words = f"{short} of {2 * count} texts are shorter than data.length = {length}"
        print(f"tcsm: collect: {words}; their padding is not trained on", file=sys.stderr)
    rewards = torch.zeros(count, dtype=torch.float64)
    buffer = unweighted(preferences.rows, rewards)
    buffer = replace(buffer, lengths=preferences.lengths, prompts=preferences.prompts)
    digest = write_buffer(run.folder, buffer, tokenizer, path.name)
    record = {
        "count": count,
        "length": length,
        "cut": preferences.cut,
        "padded": short,
        "tokens_sha256": read_header(run.folder / TOKENS).sha256,
        "sha256": digest,
    }
    telemetry = describe(watch, preferences.rows.numel(), torch.device("cpu"))
    run.write("collect", record, telemetry)
