"""Frozen training sets: written once, verified when read, rebuilt to the same bytes."""
