"""Samples as text: generative perplexity by a causal model, MAUVE, variety, and their cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tcsm.data.batches import evaluation_windows
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.samples import entropy
from tcsm.huggingface import model, one_line, places, tokenizer
from tcsm.metrics.base import Evaluated, Measured
from tcsm.models.autoregressive import Autoregressive
from tcsm.runs.drawing import sampler_of
from tcsm.runs.judging import as_judge, judge_rate, variety
from tcsm.samplers.base import Sampler
from tcsm.training.telemetry import Stopwatch

# (tokens, texts) ↦ fields of the record.
Scores = Callable[[Tensor, Sequence[str]], dict[str, Any]]


@dataclass(frozen=True)
class Scorer:
    """A causal language model of `transformers` with its tokenizer.

    Attributes:
        model: The model.
        tokenizer: Its tokenizer.
    """

    model: Any
    tokenizer: Any

    @torch.no_grad()
    def score(self, text: str) -> tuple[float, int, Float[Tensor, "D"]]:
        """Return −log p of a text's tokens but the first, nats; their number; the last state."""
        ids = self._ids(text)
        out = self.model(ids[None], output_hidden_states=True)
        log_p = torch.log_softmax(out.logits[0, :-1].double(), -1)
        nats = -log_p.gather(-1, ids[1:, None]).sum()
        return float(nats), len(ids) - 1, out.hidden_states[-1][0, -1].float().cpu()

    def _ids(self, text: str) -> Int[Tensor, "n"]:
        """Return the tokens of a text, as many as the model reads; the end's if there are none."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"][: places(self.model)]
        end = self.tokenizer.eos_token_id
        return torch.tensor(ids or [0 if end is None else end], device=self.model.device)


@dataclass(frozen=True)
class Generative:
    """Quality of samples by a causal language model, or by an autoregressive run; and their cost.

    Attributes:
        sampler: The sampler.
        count: Number of samples.
        steps: Sampler steps of each.
        name: A repository of the Hub, or a folder, whose model scores in its own tokens; or None.
        revision: The branch, tag or commit on the Hub.
        mauve: Whether samples are compared with as many windows of the test split by MAUVE, of
            the states of the model at their last tokens.
        judge: Folder of an autoregressive run that scores in the tokens of the samples, or None.

    Raises:
        InputError: Fewer than two samples, no step, or MAUVE without a language model.
    """

    sampler: Sampler
    count: int
    steps: int
    name: str | None
    revision: str
    mauve: bool
    judge: str | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.count < 2 or self.steps < 1:
            raise InputError(
                "metric.generative.count, steps: must be 2 and 1 at least, found "
                f"{self.count}, {self.steps}"
            )
        if self.mauve and self.name is None:
            raise InputError("metric.generative.mauve: found true, which needs a model's name")

    def __call__(self, evaluated: Evaluated) -> Callable[[], Measured]:
        """Open what scores; return the function that draws and scores.

        Raises:
            InputError: It cannot be loaded, or nothing scores; MAUVE without its package, or with
                too short a text.
        """
        sampler = sampler_of(self.sampler, evaluated.model, self.steps)
        scores: list[Scores] = []
        if self.name is not None:
            scores.append(self._by_model(evaluated, self.name))
        if self.judge is not None:
            judge = as_judge(evaluated.open_model("judge", Path(self.judge)), self.judge)
            scores.append(partial(_by_judge, judge, evaluated.tokenizer))
        if not scores:
            raise InputError(
                "metric.generative.name: found null; name a causal language model, or set judge "
                "to the folder of an autoregressive run"
            )
        return partial(self._measure, evaluated, sampler, scores)

    def _by_model(self, evaluated: Evaluated, name: str) -> Scores:
        """Return the scores of the language model ``name``."""
        compare = _mauve() if self.mauve else None
        texts = []
        if self.mauve:
            tokens = evaluated.open_split("test").tokens
            windows = evaluation_windows(
                tokens, evaluated.length, self.count, "metric.generative.count"
            )
            texts = [evaluated.tokenizer.decode(row.numpy()) for row in windows]
        key = "metric.generative"
        loaded = model("AutoModelForCausalLM", key, name, self.revision)
        beside = tokenizer(f"{key}.name", name, self.revision)
        scorer = Scorer(loaded.to(evaluated.devices.device), beside)
        return lambda _, own: {"model": name, **_perplexity(scorer, own, texts, compare)}

    @torch.no_grad()
    def _measure(
        self, evaluated: Evaluated, sampler: Sampler, scores: Sequence[Scores]
    ) -> Measured:
        watch = Stopwatch()
        with evaluated.devices.autocast():
            drawn = sampler(evaluated.model, self.count, evaluated.length, evaluated.seed)
        tokens, spent = drawn.tokens.cpu(), watch.read()
        texts = [evaluated.tokenizer.decode(row.numpy()) for row in tokens]
        entropies = [entropy(row[None]) * math.log(2) for row in tokens]
        fields: dict[str, Any] = {
            **evaluated.run.draws(evaluated.seed),
            "sampler": type(sampler).__name__,
            "steps": self.steps,
            "network_calls": drawn.network_calls,
            "count": self.count,
            "length": evaluated.length,
            **variety(tokens),
            "unigram_entropy": sum(entropies) / len(entropies),  # nats, mean over samples
        }
        for score in scores:
            fields |= score(tokens, texts)
        costs = {"sampling_seconds": spent.seconds, "sampling_cpu_seconds": spent.cpu_seconds}
        return Measured(fields, tokens.numel(), costs)


def _by_judge(
    judge: Autoregressive, tokenizer_: Tokenizer, tokens: Int[Tensor, "B L"], _: Sequence[str]
) -> dict[str, Any]:
    """Return bits per character under an autoregressive run, and their error over samples."""
    rate = judge_rate(judge, tokens, tokenizer_)
    return {"judge_bpc": rate.value, "judge_bpc_se": rate.se}


def _perplexity(
    scorer: Scorer,
    texts: Sequence[str],
    references: Sequence[str],
    compare: Callable[[Tensor, Tensor], float] | None,
) -> dict[str, Any]:
    """Return the perplexity per token of a language model, and MAUVE if it is asked for."""
    scores = [scorer.score(text) for text in texts]
    nats, count = (sum(score[part] for score in scores) for part in (0, 1))
    perplexity = math.exp(min(nats / count, 700)) if count else None
    fields: dict[str, Any] = {"perplexity": perplexity, "tokens": count}
    if compare is not None:
        states = torch.stack([scorer.score(text)[2] for text in references])
        fields["mauve"] = compare(states, torch.stack([state for _, _, state in scores]))
    return fields


def _mauve() -> Callable[[Tensor, Tensor], float]:
    """Return MAUVE of two sets of states.

    Raises:
        InputError: The package is missing.
    """
    try:
        import mauve  # noqa: PLC0415  an extra of the package
    except ImportError as error:
        raise InputError(
            "metric.generative.mauve: found true, which needs: pip install -e '.[mauve]'"
        ) from error

    def compare(one: Tensor, other: Tensor) -> float:
        with one_line("metric.generative.mauve"):
            result = mauve.compute_mauve(
                p_features=one.numpy(), q_features=other.numpy(), verbose=False
            )
        return float(result.mauve)

    return compare
