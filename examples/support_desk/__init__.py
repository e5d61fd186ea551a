"""A support desk whose technical agent may ask a developer, and waits for the answer."""
