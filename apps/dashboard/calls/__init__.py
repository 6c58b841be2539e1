"""Calls in the dashboard: the list, its export, and a call's page."""
