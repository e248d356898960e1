"""Toy distributions that are small enough to list, for exact evaluation of a model."""
