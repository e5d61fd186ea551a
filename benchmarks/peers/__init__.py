"""The peers: the same work on other systems beside ours, in one run; `python -m benchmarks.peers` prints the table."""
