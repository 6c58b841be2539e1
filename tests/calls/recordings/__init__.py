"""Tests of recordings: the spool, the storage, and what is given out."""
