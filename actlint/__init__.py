"""actlint: finds, and proves, what keeps a TensorFlow activation or loss from learning."""

from actlint.version import VERSION as __version__

__all__ = ["__version__"]
