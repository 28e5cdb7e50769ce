"""Numbers that hold unless configuration or the command line says otherwise.

They are fixed, so that two runs agree.
"""

from __future__ import annotations

# Seed of all sampling.
SEED = 0

MAX_SEED = 2**32 - 1  # what NumPy and TensorFlow both take

# Sample points for each excerpt: a batch of that size takes TensorFlow about 2 ms.
SAMPLES = 4096
MAX_SAMPLES = 2**20

# Seconds for one excerpt in the worker.
TIMEOUT = 20.0
MAX_TIMEOUT = 86_400.0

# TensorFlow processes: by default one for each processor, but not more than this; each of them
# takes some 0.5 GB.
WORKERS = 4
MAX_WORKERS = 256
