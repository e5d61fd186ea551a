"""Models: one protocol, and one adapter a provider family that speaks it."""
