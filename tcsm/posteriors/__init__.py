"""Posteriors p(x₁ | x_t), known by their ratios."""

from tcsm.public import importer

__all__ = [
    "Bayes",
    "ConcreteScore",
    "Explicit",
    "Factorized",
    "Joint",
    "LeaveOneOut",
    "Posterior",
]
__getattr__ = importer(
    __name__,
    {
        "Bayes": "bayes",
        "ConcreteScore": "base",
        "Explicit": "explicit",
        "Factorized": "factorized",
        "Joint": "joint",
        "LeaveOneOut": "factorized",
        "Posterior": "base",
    },
)
