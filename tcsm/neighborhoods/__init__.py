"""Neighborhoods N(x): which sequences a concrete score compares."""
