"""Models of clean data p₁ itself."""

from tcsm.public import importer

__all__ = [
    "Autoregressive",
    "Conditional",
    "Denoiser",
    "MaskedLM",
    "Tabulated",
    "Teacher",
]
__getattr__ = importer(
    __name__,
    {
        "Autoregressive": "autoregressive",
        "Conditional": "conditional",
        "Denoiser": "conditional",
        "MaskedLM": "conditional",
        "Tabulated": "base",
        "Teacher": "base",
    },
)
