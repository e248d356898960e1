"""Objectives: what training minimizes."""

from tcsm.public import importer

__all__ = [
    "DenoisingObjective",
    "DensityRatio",
    "DistributionMatching",
    "Likelihood",
    "MatchedSmoothing",
    "Nelbo",
    "NextToken",
    "Objective",
    "OpenMean",
    "Paired",
    "PolicyGradient",
    "ReferenceObjective",
    "ScoreMatching",
    "SequenceMean",
    "SoftDistributionMatching",
    "Unpaired",
    "Weighting",
]
__getattr__ = importer(
    __name__,
    {
        "DenoisingObjective": "base",
        "DensityRatio": "density_ratio",
        "DistributionMatching": "distribution",
        "Likelihood": "base",
        "MatchedSmoothing": "score_matching",
        "Nelbo": "likelihood",
        "NextToken": "likelihood",
        "Objective": "base",
        "OpenMean": "base",
        "Paired": "preference",
        "PolicyGradient": "policy_gradient",
        "ReferenceObjective": "base",
        "ScoreMatching": "score_matching",
        "SequenceMean": "base",
        "SoftDistributionMatching": "distribution",
        "Unpaired": "preference",
        "Weighting": "base",
    },
)
