"""Pearson and Spearman correlation of rows of tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def pearson(a: Tensor, b: Tensor) -> Tensor:
    """Correlation of each row, NaN values left out in pairs; NaN for a constant row: (N, M), (N, M) -> (N,)."""
    gone = a.isnan() | b.isnan()
    a, b = _standard(a, gone), _standard(b, gone)
    return (a * b).sum(1)


def _standard(values: Tensor, gone: Tensor) -> Tensor:
    """Rows with mean 0 and length 1, and 0 where `gone`; NaN for a constant row, even if its mean is rounded."""
    known = values.masked_fill(gone, torch.nan)
    centred = (known - known.nanmean(1, keepdim=True)).nan_to_num()
    constant = values.masked_fill(gone, -torch.inf).amax(1) == values.masked_fill(gone, torch.inf).amin(1)
    return centred / centred.square().sum(1, keepdim=True).sqrt().masked_fill(constant[:, None], torch.nan)


def ranked(values: Tensor, like: Tensor) -> Tensor:
    """Ranks within each row, ties averaged; NaN where `like` is NaN: (N, M) -> (N, M)."""
    from scipy.stats import rankdata

    values = values.masked_fill(like.isnan(), torch.nan)
    return torch.from_numpy(rankdata(values.cpu().numpy(), axis=1, nan_policy="omit")).to(values)
