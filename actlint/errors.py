"""The one exception that ends a run with status 2."""

from __future__ import annotations


class RunError(Exception):
    """The run itself cannot go on; the text is one sentence for the user."""
