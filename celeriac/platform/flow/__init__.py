"""Flow: who runs next, and how much of whom at once."""
