"""A benchmark harness that tells which attribution method to trust for a model, and how far."""

import os

__version__ = "0.1.0"

# OpenMP's threads wait for each other by spinning, by default for so long that beside other busy processes small models run up
# to thirty times slower. 10,000 rounds are as fast as the default on a quiet machine, to within 5 % (3,000 made batches of
# signals 20 % slower, of 32 70 %), and bounded on a crowded one. It is read when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
