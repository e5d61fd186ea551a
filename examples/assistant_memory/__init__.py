"""Assistants that remember their users across conversations."""
