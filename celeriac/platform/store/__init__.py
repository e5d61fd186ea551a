"""Store: the adapters behind the platform's protocols, each with its in-memory twin.

SQL keeps the truth; Redis keeps hints (gate, step cache, streams) that may be lost at any time. Only `wiring.py` names
the adapters that need a server; nothing above this room may know which of the twins it talks to.
"""
