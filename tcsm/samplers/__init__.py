"""Samplers: the walk from noise to data."""

from tcsm.public import importer

__all__ = [
    "Ancestral",
    "BestOfN",
    "Conditioning",
    "Confidence",
    "Corrected",
    "FirstHitting",
    "Importance",
    "NextToken",
    "Remasking",
    "Resampling",
    "Sampled",
    "Sampler",
    "TauLeaping",
    "Truncated",
]
__getattr__ = importer(
    __name__,
    {
        "Ancestral": "ancestral",
        "BestOfN": "guidance",
        "Conditioning": "conditioning",
        "Confidence": "confidence",
        "Corrected": "corrected",
        "FirstHitting": "first_hitting",
        "Importance": "importance",
        "NextToken": "next_token",
        "Remasking": "remasking",
        "Resampling": "guidance",
        "Sampled": "base",
        "Sampler": "base",
        "TauLeaping": "leaping",
        "Truncated": "truncated",
    },
)
