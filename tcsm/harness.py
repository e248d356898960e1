"""A run as a model of lm-evaluation-harness, for tasks of likelihood and of multiple choice.

    python -m tcsm.harness run --model tcsm --model_args run=results/mine,draws=16 --tasks piqa

Likelihoods are those of the run's bound, given the context, which is visible (11): a diffusion
model's are lower bounds of log p(continuation | context), an autoregressive model's are exact.
Needs the extra ``lm-eval``.
"""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tcsm import config
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound
from tcsm.library import load
from tcsm.metrics.zero_shot import normalization
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.base import Posterior
from tcsm.process.sources import Mask

try:
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model
except ImportError as missing:
    raise ImportError("tcsm.harness needs lm-eval: pip install -e '.[lm-eval]'") from missing


@register_model("tcsm")
class Harness(LM):  # type: ignore[misc]
    """A trained run.

    Args:
        run: Its folder, or "hub:OWNER/NAME".
        draws: Draws of the bound for each request.
        seed: Seed of the draws.
        others: What the harness passes to every model, such as ``batch_size``.
    """

    def __init__(self, run: str, draws: int = 16, seed: int = 0, **others: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.run = load(run)
        self._normalize = normalization(self.run.corpus and self.run.corpus())
        bound: Bound = config.build(self.run.config.bound)
        bound.check(self.run.model)
        self._nats = partial(bound, self.run.model, seed=seed, draws=draws)

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Return log p(continuation | context) and whether greedy decoding gives it, for each.

        A context is cut at its start to ``data.length`` tokens together with the continuation.

        Raises:
            InputError: A continuation of no token, or of more than ``data.length``.
        """
        return [self._scored(index, *request.args) for index, request in enumerate(requests)]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """Return log p of each whole text, in parts of ``data.length`` tokens."""
        return [self._rolled(index, *request.args) for index, request in enumerate(requests)]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Raise InputError: texts of a given length are not generated until a stop word."""
        raise InputError("tcsm.harness: tasks that generate are not supported; use tcsm sample")

    def _scored(self, index: int, context: str, continuation: str) -> tuple[float, bool]:
        tokens = self._encode(context + continuation)
        known = min(len(self._encode(context)), len(tokens))
        length = self.run.config.data.length
        if not 0 < len(tokens) - known <= length:
            raise InputError(
                f"request {index}: the continuation {continuation!r:.60} has "
                f"{len(tokens) - known} tokens, wanted 1 to data.length = {length}"
            )
        known, tokens = max(0, known - max(0, len(tokens) - length)), tokens[-length:]
        real = torch.arange(len(tokens), device=tokens.device) >= known
        return self._log_p(index, tokens, real), self._is_greedy(tokens, known)

    def _rolled(self, index: int, text: str) -> float:
        parts = torch.split(self._encode(text), self.run.config.data.length)
        return sum(self._log_p(index, part, part >= 0) for part in parts)

    def _log_p(self, index: int, tokens: Tensor, real: Tensor) -> float:
        ids = torch.tensor([index], device=tokens.device)
        return -float(self._nats(tokens[None], ids, real=real[None]).nats.mean())

    @torch.no_grad()
    def _is_greedy(self, tokens: Tensor, known: int) -> bool:
        """Return whether the likeliest token of each position, from left to right, is the text's.

        Models without masks, and joint models, have no such order: the answer is no.
        """
        model: Any = self.run.model
        if isinstance(model, Autoregressive):
            after = torch.arange(len(tokens), device=tokens.device) >= known
            log_p = model.log_next_at(tokens[None], after[None])
            return bool((log_p.argmax(-1) == tokens[known:]).all())
        path: Any = getattr(model, "path", None)
        if not isinstance(model, Posterior) or not isinstance(path.source, Mask):
            return False
        for at in range(known, len(tokens)):
            x_t = tokens[None].clone()
            x_t[:, at:] = path.source.vocabulary
            t = path.schedule.inverse(torch.tensor([at / len(tokens)], device=tokens.device))
            if int(self.run.log_conditionals(x_t, t)[0, at].argmax()) != int(tokens[at]):
                return False
        return True

    def _encode(self, text: str) -> Tensor:
        ids = self.run.tokenizer.encode(self._normalize(text)).astype(np.int64)
        return torch.from_numpy(ids).to(next(self.run.model.parameters()).device)


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    sys.exit(cli_evaluate())
