"""The TensorFlow worker: a separate, hardened process that runs excerpts and measures them."""

import sys

# Another environment's interpreter may run the worker.
if sys.version_info < (3, 11):  # noqa: UP036
    raise SystemExit(f"the worker needs Python 3.11 or newer, {sys.executable} is older")
