"""Writes and serves what people read."""
