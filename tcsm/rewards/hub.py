"""Classifiers of `transformers`: of the Hub or of a folder, for sentiment, toxicity or any label.

R = log p/(1 − p), p the probability of a label: z_y − log Σ_{k≠y} e^{z_k} among labels that
exclude each other, the logit z_y itself where they do not, or where there is but one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from tcsm.errors import InputError
from tcsm.rewards.base import Reward


@dataclass(frozen=True)
class HubClassifier(Reward):
    """Loaded when it is first asked.

    Attributes:
        name: of a repository of the Hub, or a folder.
        label: the label that is good, by name or number.
        batch: texts of one pass.
        length: tokens of a text at most; the rest is not read.
        odds: log-odds; else the logit of the label, whatever the others have.
        device: where it runs, such as "cpu" or "cuda".
        revision: the commit on the Hub.
    """

    name: str
    label: str | int
    batch: int = 64
    length: int = 512
    odds: bool = True
    device: str = "cpu"
    revision: str = "main"

    def __post_init__(self) -> None:
        for key in ("batch", "length"):
            if getattr(self, key) < 1:
                raise InputError(f"reward.{key} must be 1 or more, found {getattr(self, key)}")

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """R of each text.

        Raises:
            InputError: no such classifier, or no such label.
        """
        found = [self._log_odds(logits) for logits in self._logits(texts)]
        return torch.cat([torch.empty(0, dtype=torch.float64), *found]).numpy()

    @cached_property
    def model(self) -> Any:  # noqa: ANN401  transformers is not typed
        """The classifier.

        Raises:
            InputError: none can be loaded, the checkpoint has no head for one, or no such device.
        """
        from transformers import AutoModelForSequenceClassification as Kind  # noqa: PLC0415

        safe = {"use_safetensors": True}  # other files could run code
        model, told = self._loaded(Kind, output_loading_info=True, **safe)
        if told["missing_keys"]:
            lacking = ", ".join(sorted(told["missing_keys"])[:3])
            raise InputError(f"reward.name: {self.name} is no classifier, it lacks {lacking}")
        model.config.pad_token_id = self.tokenizer.pad_token_id
        try:
            return model.to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"reward.device: {self.device} cannot be used: {reason}") from None

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401
        """Its tokenizer; those of models that write need something to pad with."""
        from transformers import AutoTokenizer  # noqa: PLC0415  seconds to load

        tokenizer = self._loaded(AutoTokenizer)
        if not tokenizer("a b")["input_ids"]:
            raise InputError(
                f"reward.name: {self.name} has an empty tokenizer; are its files all there?"
            )
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        return tokenizer

    @cached_property
    def place(self) -> int:
        """The number of the label."""
        names: dict[int, str] = self.model.config.id2label
        for number, name in names.items():
            if self.label in (number, name):
                return number
        known = ", ".join(f"{number} {name}" for number, name in names.items())
        raise InputError(f"reward.label: {self.name} has no label {self.label!r}; it has {known}")

    def _logits(self, texts: Sequence[str]) -> Iterator[Float[Tensor, "n K"]]:
        for first in range(0, len(texts), self.batch):
            inputs = self.tokenizer(
                list(texts[first : first + self.batch]),
                padding=True,
                truncation=True,
                max_length=min(self.length, self.tokenizer.model_max_length),
                return_tensors="pt",
            )
            yield self.model(**inputs.to(self.device)).logits.double().cpu()

    def _log_odds(self, logits: Float[Tensor, "n K"]) -> Float[Tensor, "n"]:
        wanted = logits[:, self.place]
        several = self.model.config.problem_type == "multi_label_classification"
        if not self.odds or several or logits.shape[1] == 1:
            return wanted
        others = [k for k in range(logits.shape[1]) if k != self.place]
        return wanted - logits[:, others].logsumexp(1)

    def _loaded(self, kind: Any, **how: bool) -> Any:  # noqa: ANN401
        try:
            return kind.from_pretrained(
                self.name, revision=self.revision, trust_remote_code=False, **how
            )
        except (OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"reward.name: {self.name} is no folder of a classifier, and none of that name "
                f"can be fetched from the Hub: {reason}"
            ) from None
