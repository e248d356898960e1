"""Divergences: Bregman divergences of ratios, scoring rules, and divergences of distributions."""
