"""Toy distributions that are small enough to list, for exact evaluation of a model."""

from tcsm.public import importer

__all__ = [
    "Checkerboard",
    "EightGaussians",
    "Moons",
    "Pairs",
    "World",
]
__getattr__ = importer(
    __name__,
    {
        "Checkerboard": "grid",
        "EightGaussians": "grid",
        "Moons": "grid",
        "Pairs": "pairs",
        "World": "base",
    },
)
