"""Corpora: one module per kind of source."""
