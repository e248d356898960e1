"""Classifiers of `transformers`, from the Hub or a folder: sentiment, toxicity, any label.

R = log p/(1 − p), p the probability of a label: z_y − log Σ_{k≠y} e^{z_k} among exclusive labels;
the logit z_y itself where labels are independent, or where there is only one: then it is the
log-odds of a sigmoid, or the value that a regression predicts.
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
    """A classifier, loaded on first use.

    Texts of one pass have the same number of tokens, so that nothing is padded: a reward then
    depends neither on the model's padding nor on other texts.

    Attributes:
        name: Name of a repository of the Hub, or a folder.
        label: The label to reward, by name or number.
        batch: Largest number of texts per pass.
        length: Largest number of tokens per text; the rest is not read.
        odds: Log-odds if true; else the label's logit, whatever the other logits.
        device: Device of the model, such as "cpu" or "cuda".
        revision: The commit on the Hub.
        dtype: Type of the loaded weights, whatever the files hold.
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
        """Return R of each text.

        Raises:
            InputError: No such classifier, no such label, or log-odds where there are none.
        """
        self._require_odds()
        tokens = [self._tokens(text) for text in texts]
        rewards = torch.zeros(len(texts), dtype=torch.float64)
        with huggingface.one_line(f"reward.name: {self.name} cannot be evaluated"):
            for rows in self._equally_long(tokens):
                rewards[rows] = self._log_odds(self._logits([tokens[row] for row in rows]))
        return rewards.numpy()

    def open(self) -> None:
        """Load model, tokenizer and label number; evaluate a short and an empty text."""
        self(["a", ""])

    @cached_property
    def model(self) -> Any:  # noqa: ANN401  transformers is not typed
        """Return the classifier.

        Raises:
            InputError: It cannot be loaded, the checkpoint has no classification head, or no such
                device.
        """
        kind = "AutoModelForSequenceClassification"
        model = huggingface.model(kind, "reward", self.name, self.revision, self.dtype)
        if model.config.pad_token_id is None:
            model.config.pad_token_id = -1  # batches need an id of padding
        with huggingface.one_line(f"reward.device: {self.device} cannot be used"):
            return model.to(self.device)

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401
        """Return its tokenizer.

        Raises:
            InputError: It cannot be loaded, or has no tokens.
        """
        return huggingface.tokenizer("reward.name", self.name, self.revision)

    @cached_property
    def place(self) -> int:
        """Return the number of the label.

        Raises:
            InputError: There is no such label, or a number that is also another label's name.
        """
        names = {int(number): str(name) for number, name in self.model.config.id2label.items()}
        known = ", ".join(f"{number} {name}" for number, name in names.items())
        named = [number for number, name in names.items() if name == str(self.label)]
        numbered = [number for number in names if str(number) == str(self.label)]
        if isinstance(self.label, str) and named:
            numbered = []  # names take precedence
        matches = {*named, *numbered}
        if len(matches) == 1:
            return matches.pop()
        raise InputError(
            f"reward.label: {self.name} has no label {self.label!r}; it has {known}"
            if not matches
            else f"reward.label: {self.label!r} is not one label of {self.name} alone, which has "
            f"{known}; a name in quotes is taken as such"
        )

    @cached_property
    def _longest(self) -> int:
        """Return the largest number of tokens of a text that are read."""
        most = min(self.length, int(self.tokenizer.model_max_length))
        return min(most, huggingface.places(self.model) or most)

    @cached_property
    def _inputs(self) -> frozenset[str]:
        """Return the names of the tokenizer's outputs that the model takes."""
        return frozenset(inspect.signature(self.model.forward).parameters)

    def _require_odds(self) -> None:
        """Check that log-odds are defined for the model's outputs.

        Raises:
            InputError: They are not.
        """
        config, count = self.model.config, len(self.model.config.id2label)
        assert self.place < count
        if self.odds and count > 1 and config.problem_type == "regression":
            raise InputError(
                f"reward.odds: found true, but {self.name} is a regression of {count} values, "
                "which have no odds; set it to false"
            )

    def _tokens(self, text: str) -> dict[str, list[int]]:
        """Return a text's token ids; for a text without tokens, an end-of-text token."""
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
        raise InputError(
            f"reward.name: {self.name} reads no token in the text {text[:80]!r}; name a token "
            "that ends texts as eos_token in its tokenizer_config.json"
        )

    def _equally_long(self, tokens: Sequence[dict[str, list[int]]]) -> Iterator[list[int]]:
        """Return batches of texts with the same number of tokens."""
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
