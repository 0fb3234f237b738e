"""Rows in, tables out: statistics, ranks and boards. Pure."""
