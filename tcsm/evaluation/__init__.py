"""Evaluation: likelihood bounds and statistics of samples."""

from tcsm.public import importer

__all__ = [
    "Bound",
    "Count",
    "Draws",
    "Edlm",
    "Exact",
    "JointCount",
    "JointSteps",
    "Pseudo",
    "Time",
    "bits_per_character",
    "perplexity",
]
__getattr__ = importer(
    __name__,
    {
        "Bound": "bound",
        "Count": "bound",
        "Draws": "bound",
        "Edlm": "edlm",
        "Exact": "bound",
        "JointCount": "joint",
        "JointSteps": "joint_steps",
        "Pseudo": "pseudo",
        "Time": "bound",
        "bits_per_character": "estimates",
        "perplexity": "estimates",
    },
)
