"""Texts that carry a label."""
