"""The noising process: schedules, sources, the path p_{t|1}, and the corruption of a batch."""

from tcsm.public import importer

__all__ = [
    "Corrupted",
    "Corruption",
    "Cosine",
    "CountSampling",
    "Linear",
    "Mask",
    "Path",
    "Polynomial",
    "Schedule",
    "Source",
    "StepSampling",
    "TimeSampling",
    "Uniform",
]
__getattr__ = importer(
    __name__,
    {
        "Corrupted": "corruption",
        "Corruption": "corruption",
        "Cosine": "schedules",
        "CountSampling": "corruption",
        "Linear": "schedules",
        "Mask": "sources",
        "Path": "paths",
        "Polynomial": "schedules",
        "Schedule": "schedules",
        "Source": "sources",
        "StepSampling": "steps",
        "TimeSampling": "corruption",
        "Uniform": "sources",
    },
)
