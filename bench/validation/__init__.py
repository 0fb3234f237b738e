"""Judges metrics before they judge."""
