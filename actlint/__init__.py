"""actlint: finds, and proves, what keeps a TensorFlow activation or loss from learning."""

from actlint import version

__version__ = version.VERSION

__all__ = ["__version__"]
