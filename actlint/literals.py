"""The literal arguments of calls that make losses and activations."""

from __future__ import annotations

import ast
from dataclasses import dataclass

# A literal argument.
Literal = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Settings:
    """The literal arguments of a call that makes a loss or activation: ``focal(gamma=2.0)``."""

    args: tuple[Literal | None, ...]  # None where the argument is no literal
    keywords: tuple[tuple[str, Literal], ...]

    def get(self, name: str, position: int) -> Literal | None:
        """Return what a parameter is set to, or None if the call does not say."""
        for keyword, value in self.keywords:
            if keyword == name:
                return value
        return self.args[position] if position < len(self.args) else None


def settings_of(call: ast.Call) -> Settings:
    """Return the literal arguments of a call."""
    return Settings(
        tuple(_literal(arg) for arg in call.args),
        tuple(
            (keyword.arg, value)
            for keyword in call.keywords
            if keyword.arg is not None and (value := _literal(keyword.value)) is not None
        ),
    )


def note_arguments(settings: dict[str, Settings], name: str, call: ast.Call) -> None:
    """Note what ``Lambda(f, arguments={...})`` hands `f`, unless another hands it something else.

    Args:
        settings: by the name of what is called, added to.
        name: of the function; "" if it has none.
        call: of the layer's class.
    """
    found = _arguments(call)
    if name and found != settings.setdefault(name, found):
        settings[name] = Settings((), ())


def _arguments(call: ast.Call) -> Settings:
    found = [k.value for k in call.keywords if k.arg == "arguments"]
    table = found[0] if found and isinstance(found[0], ast.Dict) else ast.Dict([], [])
    pairs = (
        (key.value, _literal(value))
        for key, value in zip(table.keys, table.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    )
    return Settings((), tuple((name, value) for name, value in pairs if value is not None))


def _literal(node: ast.expr) -> Literal | None:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, (bool, str)):
        return value if sign == 1 else None
    return sign * value if isinstance(value, (int, float)) else None
