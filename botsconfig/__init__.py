"""Wiring only: settings, URLs, entry points and system checks."""
