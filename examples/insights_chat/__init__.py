"""A chat about a product's own numbers, and the customer support beside it."""
