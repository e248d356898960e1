"""Models that are trained: of the posterior p(x₁ | x_t), and of clean data p₁ itself."""

from tcsm.public import importer

__all__ = [
    "Autoregressive",
    "ConcreteScore",
    "Conditional",
    "Explicit",
    "Factorized",
    "HollowLM",
    "Joint",
    "LeaveOneOut",
    "MaskedLM",
    "Posterior",
    "Tabulated",
    "Teacher",
]
__getattr__ = importer(
    __name__,
    {
        "Autoregressive": "autoregressive",
        "ConcreteScore": "base",
        "Conditional": "masked_lm",
        "Explicit": "explicit",
        "Factorized": "factorized",
        "HollowLM": "masked_lm",
        "Joint": "joint",
        "LeaveOneOut": "factorized",
        "MaskedLM": "masked_lm",
        "Posterior": "base",
        "Tabulated": "teacher",
        "Teacher": "teacher",
    },
)
