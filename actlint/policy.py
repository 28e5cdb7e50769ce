"""In which dtype training computes a graph: what the source sets, or the user asks for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from actlint.dotted import dotted
from actlint.graph import Arg, DType, Graph, Role
from actlint.index import FileIndex
from actlint.names import last
from actlint.project import MARK, Project
from actlint.source import parse

# The range of float16 is the narrower one: it goes first where a source names both.
REDUCED = ("float16", "bfloat16")
# With it nothing is reduced, but hazards are further out.
WIDE = "float64"
# What a program casts to by name it computes in, whatever the default is; `K.floatx()` names none.
_NARROW = re.compile(r"\b(?:float32|b?float16)\b")

_ORDER = (*REDUCED, WIDE)
_SETTERS = frozenset({"set_global_policy", "set_dtype_policy", "set_policy"})
_FLOATX = "set_floatx"
_ANY = re.compile(r"set_global_policy|set_dtype_policy|set_policy|set_floatx")
_POLICY = re.compile(r"(?:mixed_)?(b?float16)|float64")
# Keras casts what these compute with to the dtype of the policy (tests/test_keras_facts.py).
_LAYERS = frozenset({Role.ACTIVATION, Role.LAYER})
# With `set_floatx`, Keras casts labels and predictions, and makes weights of that dtype.
_ALL = _LAYERS | {Role.LOSS, Role.REGULARIZER}
_TESTS = re.compile(r"(?:^|/)(?:tests?/|test_[^/]*$|[^/]*_test\.py$|conftest\.py$)")


@dataclass(frozen=True, slots=True)
class Policy:
    """A reduced dtype, what is computed in it, and who says so."""

    dtype: str
    roles: frozenset[Role]
    said: str  # "policy mixed_float16, set in train.py:12"
    # Names of functions and classes that the source makes layers of with ``dtype="float32"``.
    exempt: frozenset[str] = frozenset()
    # A loss that a Keras model calls is computed in float32 whatever the policy.
    losses_of_models: bool = False
    # Names at the top of this file that whoever sets the policy uses; None: all of them.
    used: frozenset[str] | None = None

    def holds(self, graph: Graph) -> bool:
        """Tell whether training computes the graph in this dtype."""
        names = graph.name.split(".")
        if graph.role not in self.roles or self.exempt.intersection(names):
            return False
        if self.used is not None and names[0] not in self.used:
            return False
        if graph.role is not Role.LOSS or self.losses_of_models:
            return True
        # `Loss.__call__` casts, too.
        return not graph.keras and last(graph.name) != "call"


Policies = Mapping[str, Policy]


def known(
    indexes: Iterable[FileIndex], project: Project, dtype: str | None
) -> Mapping[str, Policy]:
    """Return the policies by path; what the user asks for decides, else what the source sets."""
    return of_project(indexes, project) if dtype is None else asked(indexes, dtype)


def asked(indexes: Iterable[FileIndex], dtype: str) -> dict[str, Policy]:
    """Return the policies that ``--dtype`` stands for, by path; none if it is float32."""
    if dtype not in REDUCED:
        return {}
    files = {index.path: index for index in indexes}
    exempt = frozenset(name for index in files.values() for name in _exempt(index))
    wanted = Policy(dtype, _LAYERS | {Role.LOSS}, f"--dtype {dtype}", exempt)
    return dict.fromkeys(files, wanted)


def applied(graph: Graph, policy: Policy | None) -> Graph:
    """Return the graph in the dtype that training computes it in."""
    if policy is None or not policy.holds(graph):
        return graph
    if policy.dtype == WIDE:
        if any(node.op == "cast" and _NARROW.search(node.site.text) for node in graph.nodes):
            return graph
        # Judged in float32 first: what is float64 by name has the default dtype.
        nodes = tuple(replace(node, args=_narrowed(node.args)) for node in graph.nodes)
        return replace(graph, nodes=nodes, dtype=policy.dtype, policy=policy.said)
    return replace(graph, dtype=policy.dtype, policy=policy.said)


def _narrowed(args: tuple[tuple[str, Arg], ...]) -> tuple[tuple[str, Arg], ...]:
    """Return operands with the default dtype in the place of float64."""
    narrow: dict[Arg, Arg] = {DType(WIDE): DType("float32"), WIDE: "float32"}
    return tuple(
        (name, narrow.get(value, value) if isinstance(value, (DType, str)) else value)
        for name, value in args
    )


def of_project(indexes: Iterable[FileIndex], project: Project) -> dict[str, Policy]:
    """Return the policies that sources set, by the path of each file that one holds for.

    It holds for the file that sets it, for the files that import that one, and for all that these
    use of what they import, directly or not. Set in a test, it holds for the test alone.
    """
    files = {index.path: index for index in indexes}
    set_in: dict[str, Policy] = {}
    for path in sorted(files):
        found = _set(files[path])
        if found is not None:
            set_in[path] = found
    if not set_in:
        return {}
    below = {path: _imported(index, project) & files.keys() for path, index in files.items()}
    above: dict[str, set[str]] = {path: set() for path in files}
    for path, others in below.items():
        for other in others:
            above[other].add(path)
    result: dict[str, Policy] = {}
    for path, policy in set_in.items():
        whole = {path} if _TESTS.search(path) else _closure({path}, above)
        home = whole if _TESTS.search(path) else _closure(whole, below)
        exempt = frozenset(name for each in home for name in _exempt(files[each]))
        used = _used([files[each] for each in sorted(home)], whole)
        for each in home:
            known = result.get(each)
            if known is None or _ORDER.index(policy.dtype) < _ORDER.index(known.dtype):
                names = None if each in whole else used
                result[each] = replace(policy, exempt=exempt, used=names)
    return result


def _used(indexes: Iterable[FileIndex], whole: set[str]) -> frozenset[str]:
    """Return the names of functions and classes that are used where a policy holds.

    Used is what the files in `whole` name, what the others name outside of their functions and
    classes, and what is named in something that is used.
    """
    inside: dict[str, set[str]] = {}
    queue: list[str] = []
    for index in indexes:
        tree = _tree(index)
        for statement in [] if tree is None else tree.body:
            names = {
                node.id if isinstance(node, ast.Name) else node.attr
                for node in ast.walk(statement)
                if isinstance(node, (ast.Name, ast.Attribute))
            }
            if index.path not in whole and isinstance(
                statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            ):
                inside.setdefault(statement.name, set()).update(names)
            else:
                queue += names
    found = set(queue)
    while queue:
        fresh = inside.get(queue.pop(), set()) - found
        found |= fresh
        queue += fresh
    return frozenset(found)


def _closure(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    found, queue = set(start), list(start)
    while queue:
        fresh = set(edges[queue.pop()]) - found
        found |= fresh
        queue += fresh
    return found


def _imported(index: FileIndex, project: Project) -> set[str]:
    """Return the paths of the project's files that a file imports."""
    found: set[str] = set()
    for name in [*(m for meant in index.imports.values() for m in meant), *index.stars]:
        path, mark, rest = project.absolute(name, index).partition(MARK)
        if mark:
            found.add(path)
            place = project.follow(f"{path}{MARK}{rest}") if rest else None
            if place is not None:
                found.add(place.index.path)
    return found


# ---- one file --------------------------------------------------------------------------------


def _tree(index: FileIndex) -> ast.Module | None:
    tree = parse(index.path, index.text)
    return tree if isinstance(tree, ast.Module) else None


def _set(index: FileIndex) -> Policy | None:
    """Return the policy of reduced precision that a file sets, float16 before bfloat16."""
    tree = _tree(index) if _ANY.search(index.text) else None
    if tree is None:
        return None
    values = _assigned(tree)
    name = PurePosixPath(index.path).name
    best: Policy | None = None
    doubtful = _doubtful(tree)
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not (call.args or call.keywords):
            continue
        setter = last(dotted(call.func))
        if setter not in _SETTERS and setter != _FLOATX:
            continue
        given = call.args[0] if call.args else call.keywords[0].value
        sure = call not in doubtful and _is_sure(given, values, doubtful)
        for word in sorted(_words(given, values)):
            match = _POLICY.fullmatch(word)
            if match is None or (setter == _FLOATX and word.startswith("mixed_")):
                continue
            # Reduced dtypes add findings, but float64 takes some away: it has to be certain.
            if match[1] is None and not sure:
                continue
            # Lines of a notebook count from the start of a cell, which is not known here.
            at = name if name.endswith(".ipynb") else f"{name}:{call.lineno}"
            dtype = match[1] or WIDE
            if setter == _FLOATX:
                roles = frozenset(Role) if dtype == WIDE else _ALL
                said = f'set_floatx("{word}") in {at}'
                found = Policy(dtype, roles, said, losses_of_models=True)
            else:
                found = Policy(dtype, _LAYERS, f"the policy {word}, set in {at}")
            if best is None or _rank(found) < _rank(best):
                best = found
    return best


def _doubtful(tree: ast.Module) -> frozenset[ast.AST]:
    """Return what runs on a condition only, other than that the file is the program."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If):
            main = isinstance(node.test, ast.Compare) and dotted(node.test.left) == "__name__"
            parts: list[ast.AST] = [*([] if main else node.body), *node.orelse]
        elif isinstance(node, ast.IfExp):
            parts = [node.body, node.orelse]
        elif isinstance(node, ast.BoolOp):
            parts = [*node.values[1:]]
        elif isinstance(node, ast.Match):
            parts = [*node.cases]
        else:
            continue
        found.update(each for part in parts for each in ast.walk(part))
    return frozenset(found)


def _is_sure(
    node: ast.expr, values: Mapping[str, list[ast.expr]], doubtful: frozenset[ast.AST]
) -> bool:
    """Tell whether a setter can be given but one word."""
    known = values.get(node.id, []) if isinstance(node, ast.Name) else [node]
    return len(known) == 1 and not isinstance(known[0], ast.IfExp) and known[0] not in doubtful


def _rank(policy: Policy) -> tuple[int, int]:
    return _ORDER.index(policy.dtype), -len(policy.roles)


def _assigned(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """Return what plain names are assigned anywhere in a file."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def _words(node: ast.expr, values: Mapping[str, list[ast.expr]], depth: int = 0) -> Iterator[str]:
    """Yield the strings that may name a policy: literal, by a name, or inside ``Policy(...)``."""
    if depth > 4:
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name):
        for value in values.get(node.id, ()):
            yield from _words(value, values, depth + 1)
    elif isinstance(node, ast.IfExp):
        yield from _words(node.body, values, depth + 1)
        yield from _words(node.orelse, values, depth + 1)
    elif isinstance(node, ast.Call) and node.args and "Policy" in last(dotted(node.func)):
        yield from _words(node.args[0], values, depth + 1)


def _exempt(index: FileIndex) -> Iterator[str]:
    """Yield the functions and classes that a file makes float32 layers of.

    Those are called, or handed on, in a call with ``dtype="float32"`` or ``autocast=False``; of a
    class, its own ``super().__init__(dtype="float32")`` says so, too.
    """
    tree = _tree(index) if re.search(r"float32|autocast", index.text) else None
    if tree is None:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_wide(node):
            yield last(dotted(node.func))
            for value in (*node.args, *(keyword.value for keyword in node.keywords)):
                if isinstance(value, ast.Call):
                    value = value.func  # noqa: PLW2901  # who makes what is handed on
                yield last(dotted(value))
        elif isinstance(node, ast.ClassDef) and any(
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "__init__"
            and _is_wide(call)
            for call in ast.walk(node)
        ):
            yield node.name


def _is_wide(call: ast.Call) -> bool:
    for keyword in call.keywords:
        value = keyword.value
        if keyword.arg in {"autocast", "experimental_autocast"}:
            if isinstance(value, ast.Constant) and value.value is False:
                return True
        elif keyword.arg == "dtype" and (
            (isinstance(value, ast.Constant) and value.value == "float32")
            or last(dotted(value)) == "float32"
        ):
            return True
    return False
