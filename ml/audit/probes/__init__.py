"""Statistical probes: what a finished training set gives away of its own leaks."""
