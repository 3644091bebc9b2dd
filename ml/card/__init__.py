"""The card of a model version: what it is, how it was judged, where it is weak, and why."""
