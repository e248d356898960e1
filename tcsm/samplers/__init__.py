"""Samplers: the walk from noise to data."""
