"""Outgoing events: endpoints, what is sent to them, and what became of it."""
