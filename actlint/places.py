"""Places as reports show them: in a notebook, lines count from the start of a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from actlint.findings import Edit, FileError
from actlint.graph import Site
from actlint.source import SourceFile


def located(file: SourceFile, error: FileError) -> FileError:
    """Return the error with the line of the cell, if the file is a notebook."""
    cell = file.cell(error.line)
    if cell is None:
        return error
    return replace(error, cell=cell.number, line=error.line - cell.first + 1)


def located_in(sources: Mapping[str, SourceFile], error: FileError) -> FileError:
    """Return the error as `located` does, in the file that it names."""
    file = sources.get(error.path)
    return error if file is None else located(file, error)


def shown(site: Site, files: Mapping[str, SourceFile]) -> Site:
    """Return the site as reports show it: in a notebook, lines count from the start of the cell."""
    file = files.get(site.path)
    cell = None if file is None else file.cell(site.span.line)
    if cell is None:
        return site
    span, above = site.span, cell.first - 1
    span = replace(span, line=span.line - above, end_line=span.end_line - above)
    return replace(site, span=span, cell=cell.number)


def shown_edit(edit: Edit, files: Mapping[str, SourceFile]) -> Edit:
    """Return the edit with its place as reports show it."""
    site = shown(Site(edit.path, edit.span, ""), files)
    return replace(edit, span=site.span, cell=site.cell)
