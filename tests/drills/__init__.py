"""Drills: real processes on real PostgreSQL and Redis, which are then killed."""
