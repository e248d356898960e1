"""Target Concrete Score Matching: one objective for discrete diffusion (arXiv 2504.16431)."""

from tcsm.public import importer

__all__ = [
    "Run",
    "evaluate",
    "load",
    "sample",
]
__getattr__ = importer(
    __name__,
    {
        "Run": "runs.run",
        "evaluate": "library",
        "load": "library",
        "sample": "library",
    },
)
