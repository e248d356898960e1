"""A training on text: windows of token files, and a likelihood bound as validation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import nn

from tcsm.config import build
from tcsm.data.batches import Rows, part
from tcsm.data.corpora.base import SPLITS
from tcsm.data.examples import held_out, training_batches
from tcsm.data.tokenfile import TokenFile
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound
from tcsm.io.records import Record
from tcsm.runs.batches import open_batches, open_split
from tcsm.runs.identity import contents, weights_named
from tcsm.runs.models import build_model, load_initial, require_tokens, unwrap
from tcsm.runs.parts import Parts
from tcsm.runs.run import REFERENCE, Run, hashes
from tcsm.runs.teachers import load_objective
from tcsm.training.devices import Devices
from tcsm.training.state import TrainState

LEARNED_FROM = ("initial", "reference", "teacher_run")
VALIDATION_SEED = 1  # seed of the validation draws of every run


@dataclass(frozen=True)
class BoundValidation:
    """The likelihood bound on a few validation windows during training: the learning curve.

    Attributes:
        model: The model in training.
        net: Its unwrapped network.
        bound: The estimator.
        rows: Validation data, the same for every run.
        draws: Corruptions of each window.
        every: Steps between two validations: the first record at or after each multiple, and the
            last.
        devices: Devices of the run.
        first: Whether the initial weights are measured too: they are those of another run.
    """

    model: nn.Module
    net: nn.Module
    bound: Bound
    rows: Rows
    draws: int
    every: int
    devices: Devices
    first: bool = False

    def initial(self, state: TrainState) -> Record:
        """Return the rate of another run's weights, else nothing: the first record is soon."""
        return {"initial": self._measure(state)} if self.first else {}

    def __call__(self, state: TrainState) -> Record:
        """Return nats per token and bits, or an empty mapping at a step without validation."""
        if state.step % self.every >= state.optim.log_every and state.step != state.optim.steps:
            return {}
        return self._measure(state)

    def _measure(self, state: TrainState) -> Record:
        self.model.net = self.net
        rows, device = self.rows, self.devices.device
        ids = torch.arange(len(rows.tokens), device=device)
        mask = rows.mask(slice(None), device)
        with self.devices.autocast(), torch.no_grad(), state.final_weights():
            draws = self.bound(
                self.model, rows.tokens.to(device), ids, VALIDATION_SEED, self.draws, **mask
            )
        nats = float(draws.nats.mean(1).sum() / rows.count)
        bits = nats / math.log(2)
        characters = int(rows.characters.sum()) / rows.count  # of a token
        rates = {"valid_bits_per_token": bits, "valid_bpc": bits / max(characters, 1e-9)}
        return {"valid_nats_per_token": nats, **rates}


def text_parts(cfg: DictConfig, devices: Devices) -> Parts:
    """Return the parts of a training on text.

    Raises:
        InputError: Data, sizes or values that do not fit together.
    """
    tokenizer, optim = build(cfg.tokenizer), build(cfg.trainer)
    train, valid = (open_split(cfg, tokenizer, split) for split in ("train", "valid"))
    facts = _facts(cfg, train)
    length, size = cfg.data.length, cfg.data.batch
    corpus = training_batches(train, length, size, cfg.seed, tokenizer.separator)
    model = _initial_model(cfg, tokenizer)
    objective, teacher = load_objective(cfg, tokenizer, devices)
    require_tokens(objective, tokenizer)
    models = {**weights_named(model, objective), "teacher_run": teacher.identity}
    part(size, 0, devices.world, 0, optim.accumulate)
    validation = _validation(cfg, model, valid, tokenizer, devices)
    batches = open_batches(cfg, corpus, model, tokenizer, objective)
    texts = {
        "corpus": "".join(split.header.digest for split in (train, valid)),
        "tokenizer": train.header.fingerprint,
    }
    return Parts(
        model=model,
        objective=objective,
        teacher=teacher,
        batches=batches,
        validation=validation,
        contents=contents(cfg, devices, {**texts, **models}),
        facts=lambda: facts,
    )


def _facts(cfg: DictConfig, train: TokenFile) -> Record:
    """Return the record's fields about the text, which runs that a training learns from share.

    Raises:
        InputError: One of them was trained on another cut of it.
    """
    splits, header = hashes(Path(cfg.data.root), SPLITS), train.header
    require_same_text({key: cfg[key] for key in LEARNED_FROM}, cfg.corpus, splits)
    beside = {} if cfg.reference is None else {REFERENCE: Run(Path(cfg.reference)).weights}
    text = {"corpus": header.corpus, "data_sha256": header.digest, "splits_sha256": splits}
    return {**text, **beside}


def _initial_model(cfg: DictConfig, tokenizer: Tokenizer) -> nn.Module:
    """Return the model with its initial weights, on the CPU."""
    torch.manual_seed(cfg.seed)
    model = build_model(cfg, tokenizer)
    load_initial(cfg, model, tokenizer)
    return model


def _validation(
    cfg: DictConfig, model: nn.Module, data: TokenFile, tokenizer: Tokenizer, devices: Devices
) -> BoundValidation:
    """Return the validation of the learning curve; refuse a bound that does not fit the model."""
    length, count = cfg.data.length, cfg.validation.sequences
    rows = held_out(data, length, count, tokenizer, "validation.sequences")
    bound: Bound = build(cfg.bound)
    bound.check(model)
    return BoundValidation(
        model,
        unwrap(model),
        bound,
        rows,
        draws=cfg.validation.draws,
        every=cfg.validation.every,
        devices=devices,
        first=cfg.initial is not None,
    )


def require_same_text(
    runs: Mapping[str, str | None], corpus: Mapping[str, object], splits: Mapping[str, str]
) -> None:
    """Check a text against that of the runs that a training starts or learns from.

    With other cuts, the test split of the same corpus would hold text that they were trained on.

    Args:
        runs: key → folder.
        corpus: Configuration of the corpus.
        splits: split → SHA-256 of its tokens.

    Raises:
        InputError: A run was trained on another cut of the same corpus.
    """
    for key, folder in runs.items():
        run = Run(Path(folder or "."))
        known = run.record().get("splits_sha256", splits) if folder else splits
        if known != splits and _uncut(run.corpus) == _uncut(corpus):
            raise InputError(
                f"{key}: {folder} was trained on other splits of the same corpus; prepare it as "
                "it was there, or train that run again"
            )


def _uncut(corpus: Mapping[str, object]) -> dict[str, object]:
    """Return the configuration of a corpus without the fractions of its splits."""
    return {name: value for name, value in corpus.items() if name != "fractions"}
