"""Streams: what runs tell those who watch, as numbered chunks; for eyes only, nobody works from them."""
