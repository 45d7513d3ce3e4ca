"""What can run a model. One literal table of lazily imported names."""
