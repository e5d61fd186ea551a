"""The support desk of two banks: real customer questions, solved by a network of agents."""
