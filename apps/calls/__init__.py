"""Calls as they happened: Call, Turn and CallEvent rows, and how they are read."""
