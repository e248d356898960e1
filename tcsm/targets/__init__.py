"""What a model is matched to besides data: conditionals of trained models, Bayes over them."""

from tcsm.public import importer

__all__ = [
    "Bayes",
    "Exact",
    "JointlyMasked",
    "OneSided",
    "Plain",
    "Taylor",
    "TeacherAdapter",
    "TopK",
]
__getattr__ = importer(
    __name__,
    {
        "Bayes": "bayes",
        "Exact": "adapters",
        "JointlyMasked": "adapters",
        "OneSided": "adapters",
        "Plain": "adapters",
        "Taylor": "adapters",
        "TeacherAdapter": "adapters",
        "TopK": "adapters",
    },
)
