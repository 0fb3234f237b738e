"""The nouns of the harness. Every other room speaks in these."""
