"""The samplers that walk a path, each on the sources that it takes."""

from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.samplers.leaping import TauLeaping


def walks(masked, noised):
    """All of them, in four steps."""
    return [
        TauLeaping(path=masked, steps=4),
        TauLeaping(path=noised, steps=4),
        Ancestral(path=masked, steps=4),
        Ancestral(path=noised, steps=4),
        FirstHitting(path=masked, steps=4),
    ]


def called(sampler):
    """The name of a case."""
    return f"{type(sampler).__name__}-{type(sampler.path.source).__name__}"
