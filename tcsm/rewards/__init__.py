"""Rewards: functions from texts to numbers."""

from tcsm.public import importer

__all__ = [
    "Classifier",
    "Function",
    "HubClassifier",
    "Profanity",
    "Reward",
    "Sum",
    "Vader",
]
__getattr__ = importer(
    __name__,
    {
        "Classifier": "classifier",
        "Function": "function",
        "HubClassifier": "hub",
        "Profanity": "lexicon",
        "Reward": "base",
        "Sum": "combined",
        "Vader": "lexicon",
    },
)
