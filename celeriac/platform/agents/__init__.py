"""Agents: the SDK's nouns. They talk to a `Step` and know nothing of how it remembers."""
