"""Perturbed inputs, and the questions that metrics ask about them."""
