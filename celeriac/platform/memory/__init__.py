"""Long-term memory: what is remembered of a user beyond one conversation, kept behind one protocol."""
