"""Former names of classes and modules, which files of earlier versions still hold."""

import re

# Former → present, as dotted names; a class before its module.
NAMES = {
    "tcsm.bregman": "tcsm.divergences.bregman",
    "tcsm.scoring": "tcsm.divergences.scoring_rules",
    "tcsm.soft": "tcsm.divergences.soft",
    "tcsm.data.feeds": "tcsm.data.batch_sources",
    "tcsm.nets.flat.Flat": "tcsm.nets.flat.UniformLogits",
    "tcsm.objectives.conditional": "tcsm.objectives.likelihood",
    "tcsm.objectives.density_ratio_sequence": "tcsm.objectives.density_ratio",
    "tcsm.objectives.drawn.DrawnScoreMatching": (
        "tcsm.objectives.score_matching.SampledScoreMatching"
    ),
    "tcsm.objectives.log_linear": "tcsm.objectives.score_matching",
    "tcsm.objectives.noise_contrastive": "tcsm.objectives.density_ratio",
    "tcsm.objectives.preconditioned": "tcsm.objectives.score_matching",
    "tcsm.objectives.score": "tcsm.objectives.score_matching",
    "tcsm.objectives.soft": "tcsm.objectives.distribution",
    "tcsm.objectives.whole.WholeScoreMatching": "tcsm.objectives.score_matching.FullScoreMatching",
    "tcsm.objectives.winners": "tcsm.objectives.preference",
    "tcsm.posteriors.bayes": "tcsm.targets.bayes",
    "tcsm.posteriors": "tcsm.models",
    "tcsm.rewards.combined.Remembered": "tcsm.rewards.combined.CachedReward",
    "tcsm.samplers.guided.BestOf": "tcsm.samplers.guidance.BestOfN",
    "tcsm.samplers.guided.Resampled": "tcsm.samplers.guidance.Resampling",
    "tcsm.stages._explore": "tcsm.exploration",
    "tcsm.stages._policy": "tcsm.on_policy",
    "tcsm.teachers.conditional.Blind": "tcsm.models.masked_lm.HollowLM",
    "tcsm.teachers.ways.Together": "tcsm.targets.adapters.JointlyMasked",
    "tcsm.teachers.ways": "tcsm.targets.adapters",
    "tcsm.teachers.adapters": "tcsm.targets.adapters",
    "tcsm.teachers.autoregressive": "tcsm.models.autoregressive",
    "tcsm.teachers.base.LabelCrossEntropy": "tcsm.models.losses.LabelCrossEntropy",
    "tcsm.teachers.base": "tcsm.models.teacher",
    "tcsm.teachers.conditional": "tcsm.models.masked_lm",
    "tcsm.teachers": "tcsm.targets",
    "tcsm.training.optim.Recipe": "tcsm.training.optim.OptimConfig",
    "tcsm.worlds": "tcsm.toy",
}
KEY = re.compile(r"^feed:", re.MULTILINE)  # a former key, at the left of a line
FORMER = re.compile(rf"\b({'|'.join(map(re.escape, NAMES))})\b")


def current(text: str) -> str:
    """Return a text, such as a run's ``config.yaml``, with present names of classes and keys."""
    return FORMER.sub(lambda match: NAMES[match[1]], KEY.sub("batches:", text))
