"""Models of the posterior p(x₁ | x_t)."""

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
