"""What the peers run: one program for each, in the peer's own environment; `benchmarks.peers` starts them.

Here stands only what such an environment can import: the standard library, the peer itself and `benchmarks.cpu`.
"""
