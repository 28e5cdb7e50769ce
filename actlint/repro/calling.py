"""How a rendered function is fed and called, as lines of a program."""

from __future__ import annotations

from actlint.findings import Evidence, Tensor
from actlint.graph import Input, InputRole
from actlint.rendering import Function, literal


def feed(spec: Input, evidence: Evidence) -> Tensor:
    """Return the witness of one input; a hyperparameter that it leaves out has its default."""
    found = evidence.witness.get(spec.name)
    if found is not None:
        return found
    if spec.default is not None:
        return int(spec.default) if spec.integer else spec.default
    return min(max(0.5, spec.lo), spec.hi)


def tensor(spec: Input, value: Tensor) -> str:
    """Return the expression of one input's value; hyperparameters are plain numbers."""
    return literal(value) if plain(spec) else constant(value)


def constant(value: Tensor) -> str:
    """Return the expression of a tensor."""
    return f"tf.constant({literal(value)})"


def plain(spec: Input) -> bool:
    """Tell whether an input is a hyperparameter, fed as a plain number."""
    return spec.role is InputRole.PARAMETER and not spec.differentiated


def given(function: Function, evidence: Evidence) -> list[str]:
    """Return a line for each input that binds it to its witness."""
    return [f"{n} = {tensor(spec, feed(spec, evidence))}" for n, spec in function.inputs]


def call(function: Function, replaced: str = "", by: str = "") -> str:
    """Return a call of the function with its inputs, one of them perhaps replaced."""
    names = [by if name == replaced else name for name, _ in function.inputs]
    return f"{function.name}({', '.join(names)})"


def is_differentiated(spec: Input | None) -> bool:
    """Tell whether an input can have a gradient that training uses."""
    return spec is not None and spec.differentiated and not spec.integer


def differentiated(function: Function) -> list[str]:
    """Return the names of the inputs whose gradient training uses."""
    return [name for name, spec in function.inputs if is_differentiated(spec)]
