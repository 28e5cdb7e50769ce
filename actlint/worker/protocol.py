"""What the main process and the TensorFlow worker say to each other: frozen records as JSON.

One record is one line. Numbers that strict JSON lacks (``NaN``, ``Infinity``) are allowed on the
pipe. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from actlint.findings import Evidence, Outcome, Suspect, Target, Tensor
from actlint.graph import Arg, Dots, DType, Input, Items, Ref, Role, Slice


@dataclass(frozen=True, slots=True)
class Instruction:
    """One value of an excerpt: an input, a constant, or one allow-listed op."""

    id: int
    op: str  # key of the ops table; "" for an input or constant
    args: tuple[tuple[str, Arg], ...]
    input: Input | None = None
    value: Arg = None


@dataclass(frozen=True, slots=True)
class Job:
    """One excerpt and all suspects in it.

    The worker runs nothing but `instructions`, each of which names a row of the ops table. There
    is no source text in a job, so nothing of the user's can be executed that is not an op.
    """

    id: int
    name: str
    role: Role
    instructions: tuple[Instruction, ...]  # operands first; ids need not be dense
    output: int
    assumptions: tuple[tuple[int, bool], ...]
    suspects: tuple[Suspect, ...]
    seed: int
    samples: int
    # For Check.HALF: the reduced dtype that training computes in, and the instructions whose dtype
    # operand is that of a tensor, such as `x.dtype`, not float32 by name.
    dtype: str = "float32"
    follows: tuple[int, ...] = ()
    # For Check.AGREES: the inputs, by name, at which the hazard was seen that a fix removes.
    witness: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcomes of a job, in the order of its suspects."""

    id: int
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded TensorFlow and takes jobs."""

    tensorflow: str  # version
    sandbox: str  # protections that are active


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker cannot work, ever; it ends after saying so."""

    reason: str  # one sentence


class ProtocolError(ValueError):
    """A line on the pipe is not a record of the expected kind."""


Record = Job | Answer | Ready | Failed
_KINDS: dict[str, type[Record]] = {
    "job": Job,
    "answer": Answer,
    "ready": Ready,
    "failed": Failed,
}
_KIND_OF: dict[type, str] = {kind: name for name, kind in _KINDS.items()}


def encode(record: Record) -> str:
    """Return `record` as one line of JSON, newline included.

    Raises:
        ProtocolError: a field holds a value that has no JSON form.
    """
    try:
        body = {"kind": _KIND_OF[type(record)], "body": _plain(record)}
        return json.dumps(body, separators=(",", ":"), ensure_ascii=True) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"cannot encode {type(record).__name__}: {error}") from error


def decode(line: str | bytes) -> Record:
    """Return the record that `line` holds.

    Raises:
        ProtocolError: the line is not JSON, or not exactly the fields of one record.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from error
    if not isinstance(message, dict) or set(message) != {"kind", "body"}:
        raise ProtocolError("not a record: expected an object with kind and body")
    kind = message["kind"]
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ProtocolError(f"unknown kind of record: {kind!r}")
    try:
        record: Record = _record(_KINDS[kind], message["body"], kind)
    except RecursionError as error:
        raise ProtocolError(f"{kind}: nested too deeply") from error
    return record


def _plain(value: Any) -> Any:
    """Return `value` in terms of what JSON has; operands are tagged by their class."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Ref):
        return {"ref": value.node}
    if isinstance(value, DType):
        return {"dtype": value.name}
    if isinstance(value, Items):
        return {"items": [_plain(item) for item in value.items]}
    if isinstance(value, Slice):
        return {"slice": [_plain(part) for part in (value.start, value.stop, value.step)]}
    if isinstance(value, Dots):
        return {"dots": True}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    raise TypeError(f"{type(value).__name__} has no place in a record")


def _fail(where: str, expected: str, value: Any) -> ProtocolError:
    return ProtocolError(f"{where}: expected {expected}, found {type(value).__name__}")


class _Operand:
    """Stands for the recursive alias `Arg` in resolved type hints."""


class _Numbers:
    """Stands for the recursive alias `Tensor` in resolved type hints."""


# Resolved at import, because doing so compiles text, which the worker's sandbox refuses later.
_HINTS: dict[type, dict[str, Any]] = {
    kind: get_type_hints(kind, localns={"Arg": _Operand, "Tensor": _Numbers})
    for kind in (*_KIND_OF, Evidence, Input, Instruction, Outcome, Suspect, Target)
}


def _record(kind: type, value: Any, where: str) -> Any:
    """Return an instance of dataclass `kind` from exactly its fields."""
    hints = _HINTS[kind]
    if not isinstance(value, dict):
        raise _fail(where, kind.__name__, value)
    if set(value) != set(hints):
        odd = sorted(set(value) ^ set(hints))
        raise ProtocolError(f"{where}: missing or unknown fields: {', '.join(map(repr, odd))}")
    return kind(**{name: _value(hints[name], value[name], f"{where}.{name}") for name in hints})


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return `value` as the type `hint` says, or raise ProtocolError."""
    if isinstance(hint, type) and hint in _SCALARS:
        return _SCALARS[hint](value, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError as error:
            raise ProtocolError(f"{where}: no such {hint.__name__}: {value!r}") from error
    if is_dataclass(hint) and isinstance(hint, type):
        return _record(hint, value, where)
    return _generic(hint, value, where)


def _generic(hint: Any, value: Any, where: str) -> Any:
    """Decode unions, tuples, lists and dicts."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _union(parts, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise _fail(where, "an object", value)
        return {key: _value(parts[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is list or (origin is tuple and parts[-1] is Ellipsis):
        if not isinstance(value, list):
            raise _fail(where, "a list", value)
        items = [_value(parts[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if origin is list else tuple(items)
    if origin is tuple:
        if not isinstance(value, list) or len(value) != len(parts):
            raise _fail(where, f"a list of {len(parts)}", value)
        pairs = zip(parts, value, strict=True)
        return tuple(_value(part, item, f"{where}[{i}]") for i, (part, item) in enumerate(pairs))
    raise ProtocolError(f"{where}: no way to decode {hint}")


def _union(parts: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in parts:
        return None
    rest = [part for part in parts if part is not type(None)]
    if len(rest) == 1:
        return _value(rest[0], value, where)
    for part in rest:
        try:
            return _value(part, value, where)
        except ProtocolError:
            continue
    raise _fail(where, " or ".join(str(part) for part in rest), value)


def _tensor(value: Any, where: str) -> Tensor:
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, list):
        return [_tensor(item, where) for item in value]
    raise _fail(where, "a number or nested lists of numbers", value)


def _arg(value: Any, where: str) -> Arg:
    """Return one operand of an instruction."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise _fail(where, "an operand", value)
    ((tag, body),) = value.items()
    if tag == "ref":
        return Ref(_integer(body, where))
    if tag == "dtype":
        return DType(_text(body, where))
    if tag == "items" and isinstance(body, list):
        return Items(tuple(_arg(item, where) for item in body))
    if tag == "slice" and isinstance(body, list) and len(body) == 3:
        return Slice(*(_arg(item, where) for item in body))
    if tag == "dots" and body is True:
        return Dots()
    raise ProtocolError(f"{where}: no such operand: {tag!r}")


def _integer(value: Any, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _fail(where, "an integer", value)


def _real(value: Any, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise ProtocolError(f"{where}: {error}") from error
    raise _fail(where, "a number", value)


def _text(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    raise _fail(where, "a string", value)


def _boolean(value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise _fail(where, "true or false", value)


_SCALARS: dict[type, Callable[[Any, str], Any]] = {
    _Operand: _arg,
    _Numbers: _tensor,
    int: _integer,
    float: _real,
    str: _text,
    bool: _boolean,
}
