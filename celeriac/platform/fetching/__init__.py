"""Fetching: HTTP requests to addresses that nobody vouches for."""
