"""Classifiers of `transformers`: of the Hub or of a folder, for sentiment, toxicity or any label.

R = log p/(1 − p), p the probability of a label: z_y − log Σ_{k≠y} e^{z_k} among labels that
exclude each other, the logit z_y itself where they do not, or where there is but one: then it is
the log-odds of a sigmoid, or the value that a regression predicts.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from tcsm import huggingface
from tcsm.errors import InputError
from tcsm.rewards.base import Reward


@dataclass(frozen=True)
class HubClassifier(Reward):
    """Loaded when it is opened or first asked.

    Texts of one pass have the same number of tokens, so that nothing is padded: how a model treats
    padding, and on which side, cannot matter, and no text's reward depends on the others.

    Attributes:
        name: of a repository of the Hub, or a folder.
        label: the label that is good, by name or number.
        batch: texts of one pass at most.
        length: tokens of a text at most; the rest is not read.
        odds: log-odds; else the logit of the label, whatever the others have.
        device: where it runs, such as "cpu" or "cuda".
        revision: the commit on the Hub.
        dtype: of its weights here, whatever they are saved in.
    """

    name: str
    label: str | int
    batch: int = 64
    length: int = 512
    odds: bool = True
    device: str = "cpu"
    revision: str = "main"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for key in ("batch", "length"):
            if getattr(self, key) < 1:
                raise InputError(f"reward.{key} must be 1 or more, found {getattr(self, key)}")

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """R of each text.

        Raises:
            InputError: no such classifier, no such label, or log-odds where there are none.
        """
        self._require_odds()
        tokens = [self._tokens(text) for text in texts]
        rewards = torch.zeros(len(texts), dtype=torch.float64)
        with huggingface.one_line(f"reward.name: {self.name} cannot be asked"):
            for rows in self._equally_long(tokens):
                rewards[rows] = self._log_odds(self._logits([tokens[row] for row in rows]))
        return rewards.numpy()

    def open(self) -> None:
        """Load model, tokenizer and the number of the label, and judge a short text."""
        self(["a"])

    @cached_property
    def model(self) -> Any:  # noqa: ANN401  transformers is not typed
        """The classifier.

        Raises:
            InputError: none can be loaded, the checkpoint has no head for one, or no such device.
        """
        kind = "AutoModelForSequenceClassification"
        model = huggingface.model(kind, "reward", self.name, self.revision, self.dtype)
        if model.config.pad_token_id is None:
            model.config.pad_token_id = -1  # it asks for one where texts are several
        with huggingface.one_line(f"reward.device: {self.device} cannot be used"):
            return model.to(self.device)

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401
        """Its tokenizer.

        Raises:
            InputError: none can be loaded, or it knows no token.
        """
        place = f"reward.name: {self.name}: its tokenizer cannot be loaded"
        with huggingface.one_line(place):
            from transformers import AutoTokenizer  # noqa: PLC0415  seconds to load

        tokenizer = huggingface.from_pretrained(AutoTokenizer, place, self.name, self.revision)
        with huggingface.one_line(place):
            # without its files the library makes one that knows nothing but control tokens
            control = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
            words = tokenizer.get_vocab().keys() - control
            if len(words) < 2 or not tokenizer("a b")["input_ids"]:  # "▁" alone is none
                raise InputError(f"{place}: it is empty; are its files all there?")
        return tokenizer

    @cached_property
    def place(self) -> int:
        """The number of the label.

        Raises:
            InputError: there is no such label, or a number that is also another label's name.
        """
        names = {int(number): str(name) for number, name in self.model.config.id2label.items()}
        known = ", ".join(f"{number} {name}" for number, name in names.items())
        named = [number for number, name in names.items() if name == str(self.label)]
        numbered = [number for number in names if str(number) == str(self.label)]
        if isinstance(self.label, str) and named:
            numbered = []  # a name comes first
        found = {*named, *numbered}
        if len(found) == 1:
            return found.pop()
        raise InputError(
            f"reward.label: {self.name} has no label {self.label!r}; it has {known}"
            if not found
            else f"reward.label: {self.label!r} is not one label of {self.name} alone, which has "
            f"{known}; a name in quotes is taken as such"
        )

    @cached_property
    def _longest(self) -> int:
        """Tokens of a text that are read at most."""
        most = min(self.length, int(self.tokenizer.model_max_length))
        return min(most, huggingface.places(self.model) or most)

    @cached_property
    def _inputs(self) -> frozenset[str]:
        """What of a tokenizer's output the model takes."""
        return frozenset(inspect.signature(self.model.forward).parameters)

    def _require_odds(self) -> None:
        """Raises InputError if log-odds are wanted of numbers that are none."""
        config, count = self.model.config, len(self.model.config.id2label)
        assert self.place < count
        if self.odds and count > 1 and config.problem_type == "regression":
            raise InputError(
                f"reward.odds: found true, but {self.name} is a regression of {count} values, "
                "which have no odds; set it to false"
            )

    def _tokens(self, text: str) -> dict[str, list[int]]:
        """What the model reads of a text; of one without tokens, a token that ends texts."""
        with huggingface.one_line(
            f"reward.name: {self.name}: its tokenizer fails at {text[:80]!r}"
        ):
            row = self.tokenizer(text, truncation=True, max_length=self._longest)
            row = {key: list(row[key]) for key in row if key in self._inputs}
        if row["input_ids"]:
            return row
        for end in (self.tokenizer.eos_token_id, self.tokenizer.bos_token_id):
            if end is not None:
                return {key: [int(key == "attention_mask")] for key in row} | {"input_ids": [end]}
        raise InputError(f"reward.name: {self.name} reads no token in the text {text[:80]!r}")

    def _equally_long(self, tokens: Sequence[dict[str, list[int]]]) -> Iterator[list[int]]:
        """Which texts are read together: some of those that have the same length."""
        by_length: dict[int, list[int]] = {}
        for row, text in enumerate(tokens):
            by_length.setdefault(len(text["input_ids"]), []).append(row)
        for rows in by_length.values():
            for first in range(0, len(rows), self.batch):
                yield rows[first : first + self.batch]

    def _logits(self, tokens: Sequence[dict[str, list[int]]]) -> Tensor:
        inputs = {key: torch.tensor([text[key] for text in tokens]) for key in tokens[0]}
        on_device = {key: value.to(self.device) for key, value in inputs.items()}
        logits: Tensor = self.model(**on_device).logits.double().cpu()
        return logits

    def _log_odds(self, logits: Tensor) -> Tensor:
        wanted = logits[:, self.place]
        several = self.model.config.problem_type == "multi_label_classification"
        if not self.odds or several or logits.shape[1] == 1:
            return wanted
        others = [k for k in range(logits.shape[1]) if k != self.place]
        return wanted - logits[:, others].logsumexp(1)
