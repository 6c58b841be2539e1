"""Tests of the dashboard's pages about calls."""
