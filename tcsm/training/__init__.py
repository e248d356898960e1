"""Training: one loop for every objective, with checkpoints, devices and telemetry."""

from tcsm.public import importer

__all__ = [
    "Devices",
    "Ema",
    "Hooks",
    "OptimConfig",
    "TrainState",
    "fit",
]
__getattr__ = importer(
    __name__,
    {
        "Devices": "devices",
        "Ema": "optim",
        "Hooks": "hooks",
        "OptimConfig": "optim",
        "TrainState": "state",
        "fit": "loop",
    },
)
