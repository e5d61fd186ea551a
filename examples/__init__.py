"""Runnable examples; from the root of the repository as `examples.<name>`."""
