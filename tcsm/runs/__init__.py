"""All between the configuration of a run and the engine: its folder, model, batches, files."""
