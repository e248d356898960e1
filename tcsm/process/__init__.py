"""The noising process: schedules, sources, the path p_{t|1}, and how a batch is corrupted."""
