"""Logistic regression on hashed n-grams: trains in seconds, deterministic.

    log p(1 | text)/p(0 | text) = w·φ(text) + b

φ counts the n-grams of a text in 2^bits bins, normalized to norm 1.
"""

import hashlib
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tcsm.errors import InputError
from tcsm.io.atomic import write_atomic

FORMAT = 1
UNITS = ("word", "char")


@dataclass(frozen=True)
class Grams:
    """The features φ.

    Attributes:
        unit: Unit of the n-grams, "word" or "char".
        shortest: n of the shortest n-grams.
        longest: n of the longest n-grams.
        bits: log₂ of the number of bins.
    """

    unit: str
    shortest: int
    longest: int
    bits: int = 18

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InputError(f"grams.unit must be one of {', '.join(UNITS)}; found {self.unit}")
        if not 1 <= self.shortest <= self.longest:
            raise InputError(
                f"grams.shortest must lie in [1, longest], found {self.shortest} and longest "
                f"{self.longest}"
            )
        if not 1 <= self.bits <= 30:
            raise InputError(f"grams.bits must lie in [1, 30], found {self.bits}")

    def __call__(self, texts: Sequence[str]) -> Any:  # noqa: ANN401  a sparse matrix of scipy
        """Return φ of each text, N × 2^bits."""
        from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415  slow

        bins = HashingVectorizer(
            analyzer=self.unit,
            token_pattern=r"(?u)\b\w+\b",
            ngram_range=(self.shortest, self.longest),
            n_features=2**self.bits,
            alternate_sign=False,
        )
        return bins.transform(texts)


@dataclass(frozen=True)
class Logistic:
    """A trained classifier.

    Attributes:
        grams: The features φ.
        weight: w.
        bias: b.
        iterations: Iterations of its training; 0 if it was read from a file.
    """

    grams: Grams
    weight: Float64[np.ndarray, "F"]
    bias: float
    iterations: int = 0

    def log_odds(self, texts: Sequence[str]) -> Float64[np.ndarray, "N"]:
        """Return the log-odds of label 1, in nats."""
        return np.asarray(self.grams(texts) @ self.weight + self.bias)

    def cross_entropy(self, texts: Sequence[str], labels: Int64[np.ndarray, "N"]) -> float:
        """Return the mean of −log p(label | text), in nats."""
        log_odds = self.log_odds(texts)
        return float(np.logaddexp(0, np.where(labels == 1, -log_odds, log_odds)).mean())

    def test(self, texts: Sequence[str], labels: Int64[np.ndarray, "N"]) -> dict[str, float]:
        """Return the area under the ROC curve, and the share of texts with the right label."""
        log_odds = self.log_odds(texts)
        right = float(((log_odds > 0) == labels).mean())
        return {"auc": auc(log_odds, labels), "accuracy": right}

    def save(self, path: Path) -> str:
        """Write the classifier atomically; return its checksum.

        Raises:
            InputError: The file cannot be written.
        """
        tensors = {"weight": self.weight, "bias": np.array(self.bias)}
        facts = {"format": FORMAT, "grams": asdict(self.grams)}
        facts["sha256"] = checksum = _digest(tensors, facts)
        write_atomic(path, save(tensors, {"tcsm": json.dumps(facts, sort_keys=True)}))
        return checksum


@dataclass(frozen=True)
class Training:
    """Settings of the training of a classifier.

    Attributes:
        grams: The features φ.
        strength: C, the weight of the texts against that of ½‖w‖².
        iterations: Largest number of L-BFGS iterations.
    """

    grams: Grams
    strength: float = 1.0
    iterations: int = 200

    def __post_init__(self) -> None:
        if self.strength <= 0:
            raise InputError(f"classifier.strength must be positive, found {self.strength}")
        if self.iterations < 1:
            raise InputError(f"classifier.iterations must be 1 or more, found {self.iterations}")

    def __call__(self, texts: Sequence[str], labels: Int64[np.ndarray, "N"]) -> Logistic:
        """Return the maximum a posteriori weights, by one thread since threads change the bits."""
        from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415  slow to import
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from threadpoolctl import threadpool_limits  # noqa: PLC0415

        fitted = LogisticRegression(C=self.strength, max_iter=self.iterations)
        with (
            threadpool_limits(limits=1),
            warnings.catch_warnings(action="ignore", category=ConvergenceWarning),
        ):
            fitted.fit(self.grams(texts), labels)
        if fitted.n_iter_[0] >= self.iterations:
            print(
                f"tcsm: train: did not converge in classifier.iterations={self.iterations}; "
                "set more",
                file=sys.stderr,
            )
        weight, bias = fitted.coef_[0].astype(np.float64), float(fitted.intercept_[0])
        return Logistic(self.grams, weight, bias, int(fitted.n_iter_[0]))


def load(path: Path) -> Logistic:
    """Return a saved classifier.

    Raises:
        InputError: No such file, a damaged one, or one of another format.
    """
    try:
        with safe_open(path, framework="np") as file:
            facts = json.loads((file.metadata() or {})["tcsm"])
            tensors = {name: file.get_tensor(name) for name in ("weight", "bias")}
        written = facts.pop("sha256")
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: no whole classifier ({reason}); train it again") from None
    if facts.get("format") != FORMAT:
        raise InputError(f"{path}: format {facts.get('format')}, expected {FORMAT}")
    if written != _digest(tensors, facts):
        raise InputError(f"{path}: its bytes do not match its checksum; train it again")
    return Logistic(Grams(**facts["grams"]), tensors["weight"], float(tensors["bias"]))


def auc(scores: Float64[np.ndarray, "N"], labels: Int64[np.ndarray, "N"]) -> float:
    """Return the area under the ROC curve: how often label 1 scores above label 0."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415  slow to import

    return float(roc_auc_score(labels, scores))


def _digest(tensors: dict[str, np.ndarray], facts: dict[str, Any]) -> str:
    """Return the SHA-256 of weights and settings."""
    total = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        total.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        total.update(tensors[name].tobytes())
    return total.hexdigest()
