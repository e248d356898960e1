"""Preferences: losses of a pair with their gradients, and Bradley-Terry's distribution (10.6)."""

from collections.abc import Iterator

import torch

from tcsm.data.pairs import Pairs
from tcsm.models.factorized import Factorized
from tcsm.noise import batch_noise
from tcsm.objectives.preference import Paired, Preference, Unpaired
from tcsm.process.pairs import SharedCorruption
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.golden.verdict import Case, Comparison, UnknownKindError
from tests.tables import FixedCorruption, Table, corrupted


def preference(case: Case) -> Iterator[Comparison]:
    """A pair, or a distribution of pairs."""
    kind = case.get("kind", "pair")
    if kind == "bradley_terry_law":
        yield from distribution(case)
    elif kind == "pair":
        yield from losses(case)
    else:
        raise UnknownKindError(f"preference {kind}")


def losses(case: Case) -> Iterator[Comparison]:
    """Value and gradient of both losses at a shared x_t."""
    path = Path(Mask(len(case["logits"][0])), Linear())
    winner, loser, x_t = (torch.tensor([case[name]]) for name in ("x_w", "x_l", "xt"))
    shared = SharedCorruption(
        FixedCorruption(path, corrupted(path, winner, x_t, torch.tensor([0.5])))
    )
    row = torch.cat([winner, loser], 1)
    length = winner.shape[1]
    kinds: dict[str, Preference] = {
        "paired": Paired(shared, length, beta=case["beta"]),
        "unpaired": Unpaired(shared, length),
    }
    for name, objective in kinds.items():
        model, reference = (
            Factorized(Table(torch.tensor(case[key], dtype=torch.float64)), path)
            for key in ("logits", "ref_logits")
        )
        compared = objective.attach(reference)
        assert isinstance(compared, Preference)
        loss = compared(model, row, batch_noise(0, 0, 1))["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        yield Comparison(name, loss.item(), case[name])
        (logits,) = model.parameters()
        yield Comparison(f"{name}_grad", logits.grad, case[f"{name}_grad"])


def distribution(case: Case) -> Iterator[Comparison]:
    """Of (winner, loser) with two draws of the reference, and of each of both."""
    ref, reward = (torch.tensor(case[name], dtype=torch.float64) for name in ("ref", "R"))
    chance = Pairs(1.0).chance(reward[:, None] - reward[None])
    pairs = 2 * ref[:, None] * ref[None] * chance
    yield Comparison("p_pair", pairs, case["p_pair"])
    yield Comparison("p_w", pairs.sum(1), case["p_w"])
    yield Comparison("p_l", pairs.sum(0), case["p_l"])
