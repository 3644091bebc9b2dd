"""The benchmark: Holdfast beside other ways to make the same features, and its own growth."""
