"""The engine: one training loop for every objective. It knows no mathematics."""
