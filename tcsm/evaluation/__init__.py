"""Evaluation: likelihood bounds and statistics of samples."""
