"""Checks of metrics on problems with known answers."""
