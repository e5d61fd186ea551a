"""Benchmarks of tenants: fairness, limits and isolation, each beside a control arm that has to fail.

`python -m benchmarks.tenants` runs the recipes; `docs/benchmarks.md` says what each of them shows.
"""
