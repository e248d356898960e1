"""Neighborhoods N(x): which sequences a concrete score compares."""

from tcsm.public import importer

__all__ = [
    "Edit",
    "Hamming",
    "HammingBall",
    "HammingK",
    "Neighborhood",
    "Neighbors",
    "PerPosition",
    "SampledHammingK",
    "Semantic",
]
__getattr__ = importer(
    __name__,
    {
        "Edit": "edit",
        "Hamming": "hamming",
        "HammingBall": "hamming_ball",
        "HammingK": "hamming_k",
        "Neighborhood": "base",
        "Neighbors": "base",
        "PerPosition": "base",
        "SampledHammingK": "hamming_k",
        "Semantic": "semantic",
    },
)
