"""Bounds."""


def value(draws):
    """The bound."""
    return 1 / draws
