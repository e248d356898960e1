"""Samplers: the walk from noise to data."""

from tcsm.public import importer

__all__ = [
    "Ancestral",
    "BestOfN",
    "Conditioning",
    "FirstHitting",
    "Importance",
    "NextToken",
    "Resampling",
    "Sampled",
    "Sampler",
    "TauLeaping",
]
__getattr__ = importer(
    __name__,
    {
        "Ancestral": "ancestral",
        "BestOfN": "guidance",
        "Conditioning": "conditioning",
        "FirstHitting": "first_hitting",
        "Importance": "importance",
        "NextToken": "next_token",
        "Resampling": "guidance",
        "Sampled": "base",
        "Sampler": "base",
        "TauLeaping": "leaping",
    },
)
