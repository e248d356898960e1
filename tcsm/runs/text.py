"""A training on text: windows of token files, and a likelihood bound as validation."""

from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import nn

from tcsm.config import build
from tcsm.data.batches import WindowBatches, evaluation_windows
from tcsm.data.corpora.base import SPLITS
from tcsm.data.tokenfile import TokenFile
from tcsm.data.tokenizers import Tokenizer
from tcsm.evaluation.bound import Bound
from tcsm.io.records import Record
from tcsm.runs.batches import open_batches, open_split
from tcsm.runs.identity import contents, weights_named
from tcsm.runs.models import build_model, load_initial, require_tokens, unwrap
from tcsm.runs.parts import Parts
from tcsm.runs.run import REFERENCE, Run, hashes, require_same_text
from tcsm.runs.teachers import load_objective
from tcsm.runs.validation import BoundValidation
from tcsm.training.devices import Devices

LEARNED_FROM = ("initial", "reference", "teacher_run")


def text_parts(cfg: DictConfig, devices: Devices) -> Parts:
    """Return the parts of a training on text.

    Raises:
        InputError: Data, sizes or values that do not fit together.
    """
    tokenizer, optim = build(cfg.tokenizer), build(cfg.trainer)
    train, valid = (open_split(cfg, tokenizer, split) for split in ("train", "valid"))
    facts = _facts(cfg, train)
    windows = WindowBatches(train.tokens, cfg.data.length, cfg.data.batch, cfg.seed)
    model = _initial_model(cfg, tokenizer)
    objective, teacher = load_objective(cfg, tokenizer, devices)
    require_tokens(objective, tokenizer)
    models = {**weights_named(model, objective), "teacher_run": teacher.identity}
    windows.rows(devices.world, optim.accumulate)
    validation = _validation(cfg, model, valid, devices)
    batches = open_batches(cfg, windows, model, tokenizer, objective)
    texts = {
        "corpus": "".join(split.header.sha256 for split in (train, valid)),
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
    text = {"corpus": header.corpus, "data_sha256": header.sha256, "splits_sha256": splits}
    return {**text, **beside}


def _initial_model(cfg: DictConfig, tokenizer: Tokenizer) -> nn.Module:
    """Return the model with its initial weights, on the CPU."""
    torch.manual_seed(cfg.seed)
    model = build_model(cfg, tokenizer)
    load_initial(cfg, model, tokenizer)
    return model


def _validation(
    cfg: DictConfig, model: nn.Module, data: TokenFile, devices: Devices
) -> BoundValidation:
    """Return the validation of the learning curve; refuse a bound that does not fit the model."""
    length, count = cfg.data.length, cfg.validation.sequences
    windows = evaluation_windows(data.tokens, length, count, "validation.sequences")
    bound: Bound = build(cfg.bound)
    bound.check(model)
    return BoundValidation(
        model,
        unwrap(model),
        bound,
        windows,
        draws=cfg.validation.draws,
        every=cfg.validation.every,
        devices=devices,
    )
