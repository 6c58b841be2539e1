"""WebSockets of the dashboard."""
