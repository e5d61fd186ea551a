"""The judge: holds what is left of a play against the invariants, and says of each whether it held.

Pure functions over the evidence; nothing here asks a database or a server.
"""
