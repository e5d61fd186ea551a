"""Benchmarks: what durable steps, runs and agents cost. `python -m benchmarks` prints one JSON object a line."""
