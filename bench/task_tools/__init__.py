"""What task files share: data, weights, training."""
