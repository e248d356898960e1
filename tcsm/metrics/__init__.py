"""Metrics: what ``evaluate`` can measure of a trained run, one file each."""
