"""Rewards: how good a text is, by whoever may say so."""
