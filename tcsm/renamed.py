"""Former names of classes and modules, which files of earlier versions still hold."""

import re

# Former → present, as dotted names; a class before its module.
NAMES = {
    "tcsm.data.feeds": "tcsm.data.batch_sources",
    "tcsm.nets.flat.Flat": "tcsm.nets.flat.UniformLogits",
    "tcsm.objectives.drawn.DrawnScoreMatching": "tcsm.objectives.drawn.SampledScoreMatching",
    "tcsm.objectives.whole.WholeScoreMatching": "tcsm.objectives.whole.FullScoreMatching",
    "tcsm.samplers.guided.BestOf": "tcsm.samplers.guidance.BestOfN",
    "tcsm.samplers.guided.Resampled": "tcsm.samplers.guidance.Resampling",
    "tcsm.teachers.conditional.Blind": "tcsm.teachers.conditional.HollowLM",
    "tcsm.teachers.ways.Together": "tcsm.teachers.adapters.JointlyMasked",
    "tcsm.teachers.ways": "tcsm.teachers.adapters",
    "tcsm.training.optim.Recipe": "tcsm.training.optim.OptimConfig",
}
FORMER = re.compile(rf"\b({'|'.join(map(re.escape, NAMES))})\b")


def current(text: str) -> str:
    """Return a text, such as a run's ``config.yaml``, with the present names of classes."""
    return FORMER.sub(lambda match: NAMES[match[1]], text)
