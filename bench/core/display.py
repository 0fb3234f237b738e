"""Inputs as pictures show them."""

from __future__ import annotations

from torch import Tensor


def in_unit_range(values: Tensor, bounds: Tensor | None) -> Tensor:
    """Images (N, C, H, W), or a colour (C, 1, 1), with `bounds` (2, C, 1, 1) moved to 0 and 1; others as they are."""
    if bounds is None or bounds.dim() != 4:
        return values
    low, high = bounds.to(values)
    return (values - low) / (high - low)
