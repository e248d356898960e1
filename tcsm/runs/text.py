"""A training on text: windows of token files, and a likelihood bound as validation."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from tcsm.config import Unbuilt
from tcsm.data.batch_sources import Batches, DataContext
from tcsm.data.batches import Rows, part
from tcsm.data.buffer import read_buffer
from tcsm.data.corpora.base import Corpus
from tcsm.data.examples import held_out, training_batches
from tcsm.data.tokenfile import TokenFile
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.evaluation.bound import Bound
from tcsm.io.layout import REFERENCE
from tcsm.io.records import Record
from tcsm.objectives.base import Objective, ReferenceObjective
from tcsm.objectives.distribution import SoftDistributionMatching
from tcsm.process.sources import Mask
from tcsm.runs.corpus import Text
from tcsm.runs.identity import contents, weights_named
from tcsm.runs.models import build_model, load_initial, require_tokens, unwrap
from tcsm.runs.parts import Parts, Training
from tcsm.runs.run import Run
from tcsm.runs.teachers import CachedTeacher, cached, of_run, pruned, teacher_model
from tcsm.targets.adapters import JointlyMasked, TeacherAdapter
from tcsm.training.devices import Devices
from tcsm.training.state import TrainState

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


@dataclass(frozen=True)
class ValidationConfig:
    """Values of the keys ``validation``: see `BoundValidation`."""

    every: int
    sequences: int
    draws: int


@dataclass(frozen=True)
class CacheConfig:
    """Values of the keys ``targets``: the folder that caches targets, and its largest size."""

    cache: str | None
    limit_mib: int


@dataclass(frozen=True)
class TextTraining(Training):
    """A training on text.

    Attributes:
        tokenizer: The tokenizer.
        corpus: The corpus.
        bound: The bound of the learning curve.
        validation: Its sizes.
        collected: Folder of a collection, or None.
        reference: Folder of the frozen run that the model or the objective compares with, or None.
        teacher_run: Folder of the teacher's run, or None.
        pretrained: The teacher as a checkpoint of the Hub, or None.
        targets: The cache of the teacher's values.
    """

    tokenizer: Tokenizer
    corpus: Unbuilt[Corpus]
    bound: Bound
    validation: ValidationConfig
    collected: str | None
    reference: str | None
    teacher_run: str | None
    pretrained: Unbuilt[nn.Module] | None
    targets: CacheConfig

    @cached_property
    def text(self) -> Text:
        """Return the text."""
        return Text(Path(self.data.root or ""), self.tokenizer, self.corpus)

    def parts(self, devices: Devices) -> Parts:
        """Open the text and the runs that are named, and return the parts.

        Raises:
            InputError: Data, sizes or values that do not fit together.
        """
        train, valid = (self.text.open(split) for split in ("train", "valid"))
        facts = self._facts(train)
        size, separator = self.data.batch, self.tokenizer.separator
        corpus = training_batches(train, self.data.length, size, self.seed, separator)
        model = self._initial_model()
        objective, teacher = self._attached(devices)
        require_tokens(objective, self.tokenizer)
        models = {**weights_named(model, objective), "teacher_run": teacher.identity}
        part(size, 0, devices.world, 0, self.trainer.accumulate)
        validation = self._validation(model, valid, devices)
        batches = self._batches(corpus, model, objective)
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
            contents=contents(self.collected, devices, {**texts, **models}),
            facts=lambda: facts,
        )

    def _facts(self, train: TokenFile) -> Record:
        """Return the record's fields about the text, which the runs learned from share."""
        learned_from = ("initial", "reference", "teacher_run")
        splits = self.text.require_same_splits({key: getattr(self, key) for key in learned_from})
        text = {"corpus": train.header.corpus, "data_sha256": train.header.digest}
        beside = {REFERENCE: Run(Path(self.reference)).weights} if self.reference else {}
        return {**text, "splits_sha256": splits, **beside}

    def _initial_model(self) -> nn.Module:
        """Return the model with its initial weights, on the CPU."""
        torch.manual_seed(self.seed)
        model = build_model(self.model, self.tokenizer, self.data.length, self.reference)
        if self.initial is not None:
            load_initial(model, Path(self.initial), self.tokenizer)
        return model

    def _attached(self, devices: Devices) -> tuple[Objective, CachedTeacher]:
        """Return the objective with its teacher or reference, and the cached teacher.

        Raises:
            InputError: A teacher or a reference is missing, does not fit, or is not used.
        """
        objective, length, tokenizer = self.objective, self.data.length, self.tokenizer
        if self.reference is not None:
            self.text.require_same_corpus(self.reference)
        if isinstance(objective, SoftDistributionMatching):
            teacher = self._teacher(objective, devices)
            return objective.attach(teacher), teacher
        if isinstance(objective, ReferenceObjective):
            if self.reference is not None:
                reference = of_run("reference", self.reference, length, tokenizer, devices)
                objective = objective.attach(reference)
            objective.require_reference()
        if self.teacher_run is not None or self.pretrained is not None:
            name = type(objective).__name__
            raise InputError(
                f"teacher_run: {name} uses no teacher; set objective=soft, or null here"
            )
        return objective, CachedTeacher()

    def _teacher(self, objective: SoftDistributionMatching, devices: Devices) -> CachedTeacher:
        adapter, source = objective.target.teacher, objective.target.path.source
        assert isinstance(adapter, TeacherAdapter)
        if isinstance(adapter, JointlyMasked) and not isinstance(source, Mask):
            raise InputError("teacher=together masks positions, which needs path=mask")
        folder = pruned(self.targets.cache, self.targets.limit_mib, devices)
        named = (self.teacher_run, self.pretrained)
        model = teacher_model(named, self.data.length, self.tokenizer, devices)
        return cached(folder, adapter, model, devices)

    def _validation(self, model: nn.Module, data: TokenFile, devices: Devices) -> BoundValidation:
        """Return the validation of the learning curve; refuse a bound unfit for the model."""
        count, key = self.validation.sequences, "validation.sequences"
        rows = held_out(data, self.data.length, count, self.tokenizer, key)
        self.bound.check(model)
        return BoundValidation(
            model,
            unwrap(model),
            self.bound,
            rows,
            draws=self.validation.draws,
            every=self.validation.every,
            devices=devices,
            first=self.initial is not None,
        )

    def _batches(self, corpus: Batches, model: nn.Module, objective: Objective) -> Batches:
        """Return the batches.

        Raises:
            InputError: Data that the batch source needs is missing, damaged, or of other sizes.
        """
        buffer = None
        if self.collected is not None:
            buffer = read_buffer(Path(self.collected), self.tokenizer)
        size, length, weigh = self.data.batch, self.data.length, objective.weigh
        data = (corpus, size, length, self.seed, model, self.tokenizer, buffer, weigh)
        return self.batches.open(DataContext(*data))
