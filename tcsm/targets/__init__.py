"""What a model is matched to besides data: conditionals of trained models, Bayes over them."""

from tcsm.public import importer

__all__ = ["Bayes", "Denoiser", "Tabulated", "TeacherAdapter", "Tempered"]
__getattr__ = importer(
    __name__,
    {
        "Bayes": "bayes",
        "Denoiser": "adapters",
        "Tabulated": "base",
        "TeacherAdapter": "adapters",
        "Tempered": "base",
    },
)
