"""Training: one loop for every objective, with checkpoints, devices and telemetry."""
