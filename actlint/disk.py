"""Files that are imported but not linted, from the disk."""

from __future__ import annotations

import os

from actlint import index
from actlint.index import FileIndex
from actlint.source import read


class Disk:
    """Files that are imported but not linted; they are read and parsed, never run."""

    def exists(self, stem: str) -> bool:
        """Tell whether there is a folder `stem` or a file ``stem.py``."""
        return os.path.isdir(stem) or os.path.isfile(f"{stem}.py")

    def load(self, path: str) -> FileIndex | None:
        """Return the index of a file; None if there is none or it is no Python."""
        if not os.path.isfile(path):
            return None
        file = read(path, path)
        built = None if file.error is not None else index.build(path, file.text)
        return built if isinstance(built, FileIndex) else None
