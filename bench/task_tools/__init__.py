"""Tools for task files: data, weights, training."""
