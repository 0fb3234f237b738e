"""Which scores were made by an older version of a method or metric than the one in use."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bench.core.vocabulary import NO, YES


def outdated(ids: pd.Series, versions: Mapping[str, int]) -> pd.Series:
    """For each id (`smoothgrad@1[samples=8]`) whether its version is older than that of its name in `versions`.

    `yes` or `no`; empty where `versions` does not hold the name.
    """
    parts = ids.astype(str).str.extract(r"^(?P<name>.*?)@(?P<version>\d+)")
    newest = parts["name"].map(dict(versions)).astype(float)
    found = np.where(parts["version"].astype(float) < newest, YES, NO)
    return pd.Series(np.where(newest.isna(), "", found), index=ids.index, dtype=object)
