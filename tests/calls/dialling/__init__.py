"""Calls that we dial."""
