"""Tenants: who they are, how they prove it, and what they may take. Knows nothing of the platform."""
