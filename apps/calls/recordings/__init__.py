"""Recordings of calls: what a gateway spooled becomes a file in the storage, and is given out."""
