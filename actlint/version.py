"""The version of actlint, in the one place that packaging and reports read."""

VERSION = "0.1.0"
