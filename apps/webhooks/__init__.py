"""Outgoing events: endpoints and their deliveries. Empty for now."""
