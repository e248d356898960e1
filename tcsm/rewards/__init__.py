"""Rewards: functions from texts to numbers."""
