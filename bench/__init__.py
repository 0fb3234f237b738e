"""A benchmark harness that tells which attribution method to trust for a model, and how far."""

import os

__version__ = "0.1.0"

# OpenMP's threads wait for each other by spinning, by default for so long that beside other busy processes small models run up
# to thirty times slower. 3,000 rounds are nearly as fast as the default on a quiet machine (1,000 made batches of 64 signals
# three times slower), and on a crowded one as fast as 1,000. It is read when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
