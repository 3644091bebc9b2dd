"""Promoting: which version serves, decided by gates, each change of it written down."""
