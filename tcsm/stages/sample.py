"""Draw samples from a model at several step counts, with their statistics."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from tcsm.config import build, cut
from tcsm.data.encoding import check_text
from tcsm.data.examples import held_out
from tcsm.data.tokenfile import open_tokens
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.io.layout import record_of
from tcsm.models.autoregressive import Autoregressive
from tcsm.runs.drafts import Tensors, draft, of_model, remove
from tcsm.runs.judging import as_judge, judge_rate, variety
from tcsm.runs.models import load_model
from tcsm.runs.run import Run, hashes
from tcsm.runs.teachers import of_run
from tcsm.runs.watching import watched
from tcsm.samplers.base import Sampled, Sampler
from tcsm.samplers.conditioning import Conditioning
from tcsm.training.devices import Devices
from tcsm.training.telemetry import Stopwatch, describe

READS = (
    "experiment",
    "seed",
    "out",
    "data.length",
    "tokenizer",
    "model",
    "reference",
    "sampler",
    "sampling.count",
    "sampling.steps",
    "sampling.template",
    "sampling.watch",
    "judge",
    "devices",
)

OF = ("out",)
ANEW = ("seed",)  # other draws of the same weights
BLANK = "_"
TRACED = 4  # texts of which the record says how they came about
SPELLED = ("--prompt", "--infill")  # short for the template


def spelled(arguments: Sequence[str]) -> list[str]:
    """Return the overrides for ``--prompt TEXT``, ``--infill "TEXT with [MASK]"``, ``--watch``.

    Raises:
        InputError: There is no text.
    """
    overrides, words = [], iter(arguments)
    for word in words:
        name, equals, text = word.partition("=")
        if name in SPELLED:
            text = text if equals else next(words, "")
            if not text:
                raise InputError(f"{name}: found no text; type {name} 'in the beginning'")
            overrides.append(f"sampling.template={text.replace('[MASK]', BLANK)}")
        elif word == "--watch":
            overrides += ["sampling.watch=true", "sampling.count=1"]
        else:
            overrides.append(word)
    return overrides


def main(cfg: DictConfig, out: Path) -> None:
    """Draw texts on every grid of ``sampling.steps``, score them; write ``samples.json``.

    Draws are saved before they are scored: the same command reuses them if scoring fails.
    """
    tokenizer: Tokenizer = build(cfg.tokenizer)
    devices: Devices = build(cfg.devices)
    length, run, watch = cfg.data.length, Run(out, cfg), Stopwatch()
    corpus = run.corpus and run.corpus()  # which may say how prompts are written
    chat, answers = getattr(corpus, "chat", False), getattr(corpus, "answers", False)
    given = parse_template(cfg.sampling.template, tokenizer, length, chat)
    sampler: Sampler = build(cfg.sampler)
    walks = [replace(sampler, steps=steps) for steps in cfg.sampling.steps]
    with devices.ready():
        model, judge = load_model(run, devices), None
        if cfg.judge is not None:
            judge = as_judge(of_run("judge", cfg.judge, length, tokenizer, devices), cfg.judge)
        chosen = cut(cfg, ("seed", "data.length", "sampler", "sampling"))
        kept = draft(
            out,
            "sample",
            OmegaConf.to_yaml(chosen),
            of_model(model, devices),
            tokenizer.fingerprint,
        )
        draws = [
            partial(walk, model, cfg.sampling.count, length, cfg.seed, given) for walk in walks
        ]
        shown = watched(model, tokenizer) if cfg.sampling.watch else nullcontext()
        with devices.autocast(), shown:
            drawn = kept.load_or_draw(partial(_tensors, draws))
            runs = []
            for index, walk in enumerate(walks):
                changed = drawn.get(f"changed.{index}")
                calls = int(drawn[f"calls.{index}"])
                sampled = Sampled(drawn[f"tokens.{index}"], calls, changed)
                described = _describe(walk, sampled, tokenizer, judge)
                if given is not None and answers:
                    described["responses"] = _responses(sampled, given, tokenizer)
                runs.append({**described, "steps": walk.steps})
        record = {"length": length, **run.draws(cfg.seed), "runs": runs}
        if given is None:
            record |= _held_out(out, cfg.sampling.count, length, tokenizer, judge)
        tokens = sum(drawn[f"tokens.{index}"].numel() for index in range(len(walks)))
        run.write("sample", record, describe(watch, tokens, devices.device))
        remove(out, "sample")


def _tensors(draws: Sequence[Callable[[], Sampled]]) -> Tensors:
    """Return tokens and forward passes of every draw, by its index."""
    drawn: Tensors = {}
    for index, draw in enumerate(draws):
        sampled = draw()
        calls = torch.tensor(sampled.network_calls)
        drawn |= {f"tokens.{index}": sampled.tokens, f"calls.{index}": calls}
        if sampled.changed is not None:
            drawn[f"changed.{index}"] = sampled.changed
    return drawn


def _describe(
    sampler: Sampler, drawn: Sampled, tokenizer: Tokenizer, judge: Autoregressive | None
) -> dict[str, Any]:
    tokens = drawn.tokens
    texts = [tokenizer.decode(row.cpu().numpy()) for row in tokens]
    return {
        "sampler": type(sampler).__name__,
        "network_calls": drawn.network_calls,
        "texts": texts,
        "traces": _traces(drawn, texts, tokenizer),
        "statistics": _statistics(tokens, tokenizer, judge),
    }


def _statistics(
    tokens: torch.Tensor, tokenizer: Tokenizer, judge: Autoregressive | None
) -> dict[str, float | None]:
    judged = judge_rate(judge, tokens, tokenizer).value if judge else None
    return {**variety(tokens), "judge_bpc": judged}


def _held_out(
    folder: Path, count: int, length: int, tokenizer: Tokenizer, judge: Autoregressive | None
) -> dict[str, Any]:
    """Return as many test texts of the run's corpus, if they are at hand, and their statistics."""
    run = Run(folder)
    root, known = Path(run.value("data.root") or ""), run.record().get("splits_sha256", {})
    with suppress(InputError):  # too few, or a damaged file, which sampling does not need
        if "test" in known and hashes(root, ["test"]) == {"test": known["test"]}:
            file = open_tokens(root / "test.tok", tokenizer)
            tokens = held_out(file, length, count, tokenizer, "sampling.count").tokens
            texts = [tokenizer.decode(row.numpy()) for row in tokens]
            statistics = _statistics(tokens, tokenizer, judge)
            return {"held_out": {"texts": texts, "statistics": statistics}}
    return {}


def _responses(drawn: Sampled, given: Conditioning, tokenizer: Tokenizer) -> list[str]:
    """Return the text of each sample from the end of the prompt to the first separator."""
    start = int(given.fixed.nonzero()[-1]) + 1
    rows = [row[start:].cpu().numpy() for row in drawn.tokens]
    ends = [(row == tokenizer.separator).nonzero()[0] for row in rows]
    return [
        tokenizer.decode(row[: min([*end, len(row)])]) for row, end in zip(rows, ends, strict=True)
    ]


def _traces(drawn: Sampled, texts: Sequence[str], tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the tokens of the first texts, and the steps at which they last changed.

    Texts end before one whose tokens are no texts by themselves, as bytes are not.
    """
    traces: list[dict[str, Any]] = []
    changed = () if drawn.changed is None else drawn.changed
    for text, row, steps in zip(texts[:TRACED], drawn.tokens, changed, strict=False):
        pieces = [tokenizer.decode(one[None].cpu().numpy()) for one in row]
        if "".join(pieces) != text:
            break
        traces.append({"pieces": pieces, "steps": steps.tolist()})
    return traces


def printed(run: Run) -> Iterator[str]:
    """Yield a text of each number of steps with its statistics, and where all of them are."""
    for drawn in run.record("sample")["runs"]:
        judged = drawn["statistics"]["judge_bpc"]
        score = "" if judged is None else f", judge {judged:.3f} bits per character"
        yield f"{drawn['steps']} steps ({drawn['network_calls']} network calls{score}):"
        yield f"  {drawn.get('responses', drawn['texts'])[0]}"
    yield f"→ {run.folder / record_of('sample')}"


def parse_template(
    template: str | None, tokenizer: Tokenizer, length: int, chat: bool = False
) -> Conditioning | None:
    """Return the tokens of a template; blanks and the rest of the length are masked.

    Text between blanks is tokenized by itself. A chat is a prompt without blanks.

    Raises:
        InputError: A template of more than ``length`` tokens, or in other symbols.
    """
    if template is None:
        return None
    check_text(template, "sampling.template")
    tokens, fixed = torch.zeros(length, dtype=torch.int64), torch.zeros(length, dtype=torch.bool)
    at = 0
    for part in [template] if chat else re.findall(f"{BLANK}+|[^{BLANK}]+", template):
        here = _ids(part, tokenizer, chat)
        if at + len(here) > length:
            raise InputError(
                f"sampling.template must be {length} tokens or less, data.length; "
                f"{part!r} ends at token {at + len(here)}"
            )
        if chat or not part.startswith(BLANK):
            tokens[at : at + len(here)], fixed[at : at + len(here)] = here, True
        at += len(here)
    return Conditioning(tokens, fixed)


def _ids(part: str, tokenizer: Tokenizer, chat: bool) -> torch.Tensor:
    if part.startswith(BLANK) and not chat:
        return torch.zeros(len(part), dtype=torch.int64)
    try:
        return torch.from_numpy(tokenizer.prompt(part, chat).astype("int64"))
    except InputError as error:
        raise InputError(f"sampling.template, in {part!r}: {error}") from None
