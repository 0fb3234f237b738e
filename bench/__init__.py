"""A benchmark harness that tells which attribution method to trust for a model, and how far."""

import os

__version__ = "0.1.0"

# OpenMP's threads wait for each other by spinning. Beside any other busy process that makes small models five to ten
# times slower; a short spin costs nothing on a quiet machine. It is read when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
