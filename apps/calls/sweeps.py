"""The app's sweeps; a worker imports this module."""

from apps.calls.recordings import sweeps as recordings

__all__ = ("recordings",)
