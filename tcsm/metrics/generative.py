"""Samples as text: generative perplexity by a causal language model, MAUVE, unigram entropy."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tcsm.data.batches import evaluation_windows
from tcsm.errors import InputError
from tcsm.evaluation.samples import entropy
from tcsm.huggingface import model, one_line, places, tokenizer
from tcsm.metrics.base import Evaluated, Measured
from tcsm.runs.drawing import sampler_of
from tcsm.samplers.base import Sampler


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
    """Quality of samples by any causal language model, in its own tokens.

    Attributes:
        sampler: The sampler.
        count: Number of samples.
        steps: Sampler steps of each.
        name: A repository of the Hub, or a folder.
        revision: The branch, tag or commit on the Hub.
        mauve: Whether samples are compared with as many windows of the test split by MAUVE, of
            the states of the model at their last tokens.

    Raises:
        InputError: Fewer than two samples, or no step.
    """

    sampler: Sampler
    count: int
    steps: int
    name: str
    revision: str
    mauve: bool

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.count < 2 or self.steps < 1:
            raise InputError(
                "metric.generative.count, steps: must be 2 and 1 at least, found "
                f"{self.count}, {self.steps}"
            )

    def __call__(self, evaluated: Evaluated) -> Callable[[], Measured]:
        """Open the language model; return the function that draws and scores.

        Raises:
            InputError: It cannot be loaded; MAUVE without its package, or with too short a text.
        """
        sampler = sampler_of(self.sampler, evaluated.model, self.steps)
        compare = _mauve() if self.mauve else None
        texts = []
        if self.mauve:
            tokens = evaluated.open_split("test").tokens
            windows = evaluation_windows(
                tokens, evaluated.length, self.count, "metric.generative.count"
            )
            texts = [evaluated.tokenizer.decode(row.numpy()) for row in windows]
        key = "metric.generative"
        loaded = model("AutoModelForCausalLM", key, self.name, self.revision)
        beside = tokenizer(f"{key}.name", self.name, self.revision)
        scorer = Scorer(loaded.to(evaluated.devices.device), beside)
        return partial(self._measure, evaluated, sampler, scorer, compare, texts)

    @torch.no_grad()
    def _measure(
        self,
        evaluated: Evaluated,
        sampler: Sampler,
        scorer: Scorer,
        compare: Callable[..., float] | None,
        references: Sequence[str],
    ) -> Measured:
        with evaluated.devices.autocast():
            drawn = sampler(evaluated.model, self.count, evaluated.length, evaluated.seed)
        tokens = drawn.tokens.cpu()
        texts = [evaluated.tokenizer.decode(row.numpy()) for row in tokens]
        scores = [scorer.score(text) for text in texts]
        nats, count = (sum(score[part] for score in scores) for part in (0, 1))
        entropies = [entropy(row[None]) * math.log(2) for row in tokens]
        fields: dict[str, Any] = {
            **evaluated.run.draws(evaluated.seed),
            "model": self.name,
            "sampler": type(sampler).__name__,
            "steps": self.steps,
            "count": self.count,
            "length": evaluated.length,
            "perplexity": math.exp(min(nats / count, 700)) if count else None,
            "tokens": count,
            "unigram_entropy": sum(entropies) / len(entropies),  # nats, mean over samples
        }
        if compare is not None:
            states = torch.stack([scorer.score(text)[2] for text in references])
            own = torch.stack([state for _, _, state in scores])
            fields["mauve"] = compare(states, own)
        return Measured(fields, tokens.numel())


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
            found = mauve.compute_mauve(
                p_features=one.numpy(), q_features=other.numpy(), verbose=False
            )
        return float(found.mauve)

    return compare
