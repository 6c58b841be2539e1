"""Talking to a bot from a page: the page itself, and what it asks for."""
