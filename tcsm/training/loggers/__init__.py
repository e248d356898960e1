"""Loggers: other places for the numbers of a training than its journals, one file each."""
