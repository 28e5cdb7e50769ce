"""A cheap index of one file: what it imports, defines and uses, without LibCST.

CPython's own parser is about ten times faster than LibCST's, so it decides which definitions
are worth a concrete syntax tree. Nothing here looks inside expressions more than it must.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from actlint import bindings, changes
from actlint.dotted import dotted, inner_nodes, replaced, unpacked
from actlint.findings import FileError
from actlint.literals import Settings, note_arguments, settings_of
from actlint.minimising import SINKS, minimises
from actlint.registration import registered
from actlint.source import parse

# A file without any of these bytes cannot contain a TensorFlow or Keras computation.
_LIBRARY = re.compile(rb"tensorflow|keras|tflearn")

_ACTIVATION_CALLS = frozenset({"Activation"})
_ACTIVATION_KEYWORDS = frozenset({"activation", "activation_fn", "recurrent_activation", "act"})
_LOSS_KEYWORDS = frozenset({"loss", "loss_fn", "loss_function"})
_METRIC_KEYWORDS = frozenset({"metrics", "metric", "weighted_metrics"})
_REGULARIZER_SUFFIX = "_regularizer"
# What stands among the calls of a function that divides or raises to a power by an operator.
DIVISION = "/"
# Statements and expressions that can hand a function or module on.
_HANDING = (ast.Call, ast.Assign, ast.Dict, ast.Global)
# Of the losses that a string names, those that depend on what the last layer gives.
_CROSS_ENTROPY = re.compile(r"crossentropy")


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, class, lambda or module-level assignment.

    Lines count from 1 and include decorators; `line`..`end_line` can be parsed by themselves
    once their indentation is kept.
    """

    qualname: str
    kind: str  # function, class, assign
    line: int
    end_line: int
    column: int  # where the statement begins, in UTF-8 bytes from 0, as CPython counts
    params: tuple[str, ...] = ()
    required: int = 0  # parameters without a default, not counting self
    bases: tuple[str, ...] = ()  # of a class, dotted as written
    decorators: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()  # qualified names of functions defined directly inside
    # Last part of every called name inside a function, and DIVISION if it divides.
    calls: frozenset[str] = frozenset()
    minimises: bool = False  # an argument of it
    returns: tuple[str, ...] = ()  # plain names that a function returns
    constants: tuple[str, ...] = ()  # names assigned in a class body, in order

    @property
    def indented(self) -> bool:
        """Whether anything, if only blanks, stands before it on its line."""
        return self.column > 0


@dataclass(frozen=True, slots=True)
class Use:
    """A name handed to something that gives it a role: ``compile(loss=dice)``."""

    name: str  # dotted as written; of a call, the callee: dice for dice(0.5)
    role: str  # loss, activation, metric, regularizer, layer
    called: bool  # what is handed on is the result of a call
    line: int
    compiled: bool = False  # as the loss of a Keras model, which calls it with the labels first


@dataclass(frozen=True, slots=True)
class FileIndex:
    """What one file imports, defines and uses."""

    path: str
    text: str
    imports: dict[str, tuple[str, ...]] = field(default_factory=dict)  # local name -> meanings
    stars: tuple[str, ...] = ()  # modules of star imports
    definitions: dict[str, Definition] = field(default_factory=dict)
    uses: tuple[Use, ...] = ()
    # Where expressions that make a function with a role stand, such as an inline lambda or
    # `LOSSES["dice"]`: line, column, end line, end column; columns count UTF-8 bytes from 0, as
    # CPython's parser does.
    expressions: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    # Of calls that are handed on as a loss or activation, by the name that is called; the first.
    settings: dict[str, Settings] = field(default_factory=dict)
    script_sinks: int = 0  # minimising calls at module level
    script_calls: frozenset[str] = frozenset()  # last part of every name called at module level
    # Functions, or "<module>", that compile a Keras model with a loss worth a look, by line.
    compiles: tuple[tuple[str, int], ...] = ()
    registered: tuple[str, ...] = ()  # dotted names that Keras is to find when it loads a model
    bindings: tuple[bindings.Binding, ...] = ()  # modules that are handed on under other names
    changes: tuple[changes.Change, ...] = ()  # what is assigned to anew while the program runs
    while_training: frozenset[str] = frozenset()  # names that hooks and loops that train call


def matters(text: str) -> bool:
    """Tell whether the file can contain anything to lint."""
    return _LIBRARY.search(text.encode("utf-8", "surrogatepass")) is not None


def build(path: str, text: str) -> FileIndex | FileError:
    """Index a file.

    Returns:
        The index, or a FileError with the line and a sentence if the text is not Python.
    """
    tree = parse(path, text)
    if isinstance(tree, FileError):
        return tree
    collector = _Collector()
    try:
        collector.module(tree)
    except RecursionError:
        return FileError(path, 1, "statements are nested too deeply to be analysed")
    return FileIndex(
        path=path,
        text=text,
        imports={name: tuple(sorted(set(found))) for name, found in collector.imports.items()},
        stars=tuple(collector.stars),
        definitions=collector.definitions,
        uses=tuple(collector.uses),
        expressions=collector.expressions,
        settings=collector.settings,
        script_sinks=collector.script_sinks,
        script_calls=frozenset(collector.script_calls),
        compiles=tuple(sorted(collector.compiles.items(), key=lambda item: (item[1], item[0]))),
        registered=tuple(sorted(collector.registered)),
        bindings=collector.bound.bindings(
            collector.imports, {n: d.params for n, d in collector.definitions.items()}
        ),
        changes=collector.changed.changes(),
        while_training=collector.changed.called(),
    )


def _required(args: ast.arguments) -> int:
    names = [arg.arg for arg in (*args.posonlyargs, *args.args)]
    count = len(names) - len(args.defaults)
    return count - 1 if names and names[0] in {"self", "cls"} else count


def _assigned_names(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


class _Collector:
    """Walks statements with an explicit notion of where it is."""

    def __init__(self) -> None:
        self.imports: dict[str, list[str]] = {}
        self.stars: list[str] = []
        self.definitions: dict[str, Definition] = {}
        self.uses: list[Use] = []
        self.settings: dict[str, Settings] = {}
        self.expressions: dict[str, tuple[int, int, int, int]] = {}
        self.script_sinks = 0
        self.script_calls: set[str] = set()
        # Names bound to several expressions in turn: by a list, or by a loop over one.
        self.choices: dict[str, list[ast.expr]] = {}
        self.compiles: dict[str, int] = {}
        self.registered: set[str] = set()
        self.bound = bindings.Collector()
        self.changed = changes.Collector()
        self.replaced = Counter[str]()  # definitions that a later one of the name replaces
        self._inside = "<module>"  # the function whose expressions are looked at

    def module(self, tree: ast.Module) -> None:
        self._block(tree.body, "", top=True)
        for statement in tree.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            calls, sinks = self._expressions(statement)
            self.script_calls |= calls
            self.script_sinks += sinks

    def _block(self, body: list[ast.stmt], prefix: str, *, top: bool) -> list[str]:
        """Collect definitions of a block; return the qualified names of its functions."""
        functions: list[str] = []
        for statement in body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
                functions.append(self._function(statement, prefix))
            elif isinstance(statement, ast.ClassDef):
                self._class(statement, prefix)
            elif isinstance(statement, ast.Import):
                for alias in statement.names:
                    local = alias.asname or alias.name.partition(".")[0]
                    meaning = alias.name if alias.asname else local
                    self.imports.setdefault(local, []).append(meaning)
            elif isinstance(statement, ast.ImportFrom):
                self._import_from(statement)
            elif isinstance(statement, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
                functions += self._compound(statement, prefix, top=top)
            elif top and isinstance(statement, (ast.Assign, ast.AnnAssign)):
                self._assign(statement)
        return functions

    def _set_aside(self, qualname: str) -> None:
        """Keep a definition, with all that stands inside, which is about to be replaced."""
        known = self.definitions.get(qualname)
        if known is None or known.kind == "assign" or "<locals>" in qualname.split(".")[-2:]:
            return  # which of two inner functions is meant shows when the outer one is run
        name = replaced(qualname, self.replaced[qualname])
        self.replaced[qualname] += 1
        inside = [n for n in self.definitions if n == qualname or n.startswith(f"{qualname}.")]
        for old in inside:
            new = name + old.removeprefix(qualname)
            nested = tuple(name + n.removeprefix(qualname) for n in self.definitions[old].nested)
            self.definitions[new] = replace(self.definitions.pop(old), qualname=new, nested=nested)

    def _compound(
        self,
        statement: ast.If | ast.Try | ast.With | ast.For | ast.While,
        prefix: str,
        *,
        top: bool,
    ) -> list[str]:
        found = self._block(statement.body, prefix, top=top)
        if not isinstance(statement, ast.With):
            found += self._block(statement.orelse, prefix, top=top)
        if isinstance(statement, ast.Try):
            for handler in statement.handlers:
                found += self._block(handler.body, prefix, top=top)
            found += self._block(statement.finalbody, prefix, top=top)
        return found

    def _import_from(self, statement: ast.ImportFrom) -> None:
        module = "." * statement.level + (statement.module or "")
        for alias in statement.names:
            if alias.name == "*":
                self.stars.append(module)
                continue
            joint = "" if module.endswith(".") else "."
            self.imports.setdefault(alias.asname or alias.name, []).append(
                f"{module}{joint}{alias.name}"
            )

    def _assign(self, statement: ast.Assign | ast.AnnAssign) -> None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        pairs = [pair for target in targets for pair in unpacked(target, statement.value)]
        for target, value in pairs:
            if isinstance(target, ast.Name) and value is not None:
                is_lambda = isinstance(value, ast.Lambda)
                self._set_aside(target.id)
                self.definitions[target.id] = Definition(
                    qualname=target.id,
                    kind="lambda" if is_lambda else "assign",
                    line=statement.lineno,
                    end_line=statement.end_lineno or statement.lineno,
                    column=statement.col_offset,
                    params=tuple(a.arg for a in value.args.args)
                    if isinstance(value, ast.Lambda)
                    else (),
                    required=_required(value.args) if isinstance(value, ast.Lambda) else 0,
                )

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, prefix: str) -> str:
        qualname = prefix + node.name
        decorators = tuple(
            dotted(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list
        )
        if any(name in {f"{node.name}.setter", f"{node.name}.deleter"} for name in decorators):
            return qualname  # reading the property is what the getter does
        self._set_aside(qualname)
        nested = self._block(node.body, f"{qualname}.<locals>.", top=False)
        calls: set[str] = set()
        returns: list[str] = []
        outer = dict(self.choices)
        outside, self._inside = self._inside, qualname
        for statement in node.body:
            if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            found, _ = self._expressions(statement, returns)
            calls |= found
        self.choices = outer
        self._inside = outside
        nested += self._returned_lambdas(node, qualname, returns)
        for decorator in node.decorator_list:
            self._expressions(ast.Expr(decorator))
        args = node.args
        self.definitions[qualname] = Definition(
            qualname=qualname,
            kind="function",
            line=min([node.lineno, *(d.lineno for d in node.decorator_list)]),
            end_line=node.end_lineno or node.lineno,
            column=node.col_offset,
            params=tuple(a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)),
            required=_required(args),
            decorators=decorators,
            nested=tuple(nested),
            calls=frozenset(calls),
            minimises=bool(calls & SINKS) and minimises(node),
            returns=tuple(returns),
        )
        return qualname

    def _returned_lambdas(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, outer: str, returns: list[str]
    ) -> list[str]:
        """Treat ``return lambda x: …`` as a function defined inside."""
        last = node.body[-1]
        if not (isinstance(last, ast.Return) and isinstance(last.value, ast.Lambda)):
            return []
        qualname = f"{outer}.<locals>.<lambda>"
        args = last.value.args
        self.definitions[qualname] = Definition(
            qualname=qualname,
            kind="function",
            line=last.lineno,
            end_line=last.end_lineno or last.lineno,
            column=last.col_offset,
            params=tuple(a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)),
            required=_required(args),
        )
        returns.append("<lambda>")
        return [qualname]

    def _class(self, node: ast.ClassDef, prefix: str) -> None:
        qualname = prefix + node.name
        self._set_aside(qualname)
        nested = self._block(node.body, f"{qualname}.", top=False)
        self.definitions[qualname] = Definition(
            qualname=qualname,
            kind="class",
            line=min([node.lineno, *(d.lineno for d in node.decorator_list)]),
            end_line=node.end_lineno or node.lineno,
            column=node.col_offset,
            bases=tuple(dotted(base) for base in node.bases),
            nested=tuple(nested),
            constants=tuple(_assigned_names(node.body)),
        )

    def _expressions(
        self, statement: ast.stmt, returns: list[str] | None = None
    ) -> tuple[set[str], int]:
        """Look at every call below a statement; nested definitions are left out."""
        calls: set[str] = set()
        returned = [] if returns is None else returns
        sinks = 0
        pending: list[ast.AST] = [statement]
        while pending:
            node = pending.pop()
            if isinstance(node, _HANDING):
                self.bound.look(node, self._inside)
                self.registered.update(registered(node))
            if isinstance(node, ast.stmt):
                self.changed.look(node, self._inside)
            if isinstance(node, ast.Call):
                name = dotted(node.func).rpartition(".")[2]
                if not name and isinstance(node.func, ast.Attribute):
                    name = node.func.attr
                calls.add(name)
                self.changed.call(node, name, self._inside)
                sinks += name in SINKS
                self._uses_of(node, name)
            elif isinstance(node, ast.BinOp):
                if isinstance(node.op, (ast.Div, ast.Pow)):
                    calls.add(DIVISION)
            elif isinstance(node, (ast.For, ast.comprehension)):
                self._loop(node.target, node.iter)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._bind(node.targets[0], self._elements(node.value))
            elif isinstance(node, ast.Assign) and _holds_metrics(node.targets[0]):
                self._use(node.value, "metric")
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Name):
                returned.append(node.value.id)
            pending += inner_nodes(node)
        return calls, sinks

    def _loop(self, target: ast.expr, iterated: ast.expr) -> None:
        """Note what the variables of a loop stand for in turn: ``for f in (relu, swish)``."""
        elements = self._elements(iterated)
        if isinstance(target, (ast.Tuple, ast.List)):
            rows = [e.elts for e in elements if isinstance(e, (ast.Tuple, ast.List))]
            for column, name in enumerate(target.elts):
                self._bind(name, [row[column] for row in rows if column < len(row)])
        else:
            self._bind(target, elements)

    def _bind(self, target: ast.expr, elements: list[ast.expr]) -> None:
        if isinstance(target, ast.Name):
            self.choices[target.id] = elements

    def _elements(self, value: ast.expr) -> list[ast.expr]:
        """Return what an iteration over `value` yields, as far as the source tells."""
        match value:
            case ast.List() | ast.Tuple():
                return value.elts
            case ast.Dict():
                return [ast.Tuple([k, v]) for k, v in zip(value.keys, value.values, strict=True)
                        if k is not None]  # fmt: skip
            case ast.Name():
                return self.choices.get(value.id, [])
            case ast.Call(func=ast.Attribute(value=inner, attr="items" | "values" as method)):
                pairs = self._elements(inner)
                if method == "items":
                    return pairs
                return [p.elts[1] for p in pairs if isinstance(p, ast.Tuple) and len(p.elts) == 2]
        return []

    def _uses_of(self, call: ast.Call, name: str) -> None:
        if name in _ACTIVATION_CALLS and call.args:
            self._use(call.args[0], "activation")
        elif name == "Lambda" and call.args:
            self._use(call.args[0], "layer")
            note_arguments(self.settings, dotted(call.args[0]), call)
        elif name == "custom_gradient" and call.args:
            self._use(call.args[0], "custom-gradient")
        elif name == "compile" and len(call.args) > 1:
            self._compile(call, call.args[1])
        for keyword in call.keywords:
            key = keyword.arg or ""
            if name == "Lambda" and key == "function":
                self._use(keyword.value, "layer")
            if key in _ACTIVATION_KEYWORDS:
                self._use(keyword.value, "activation")
            elif key == "loss" and name == "compile":
                self._compile(call, keyword.value)
            elif key in _LOSS_KEYWORDS:
                self._use(keyword.value, "loss")
            elif key in _METRIC_KEYWORDS:
                self._use(keyword.value, "metric")
            elif key.endswith(_REGULARIZER_SUFFIX):
                self._use(keyword.value, "regularizer")

    def _compile(self, call: ast.Call, loss: ast.expr) -> None:
        """Note the loss of a Keras model, and where the model may be known, too."""
        first = len(self.uses)
        self._use(loss, "loss")
        self.uses[first:] = [replace(use, compiled=True) for use in self.uses[first:]]
        named = loss.value if isinstance(loss, ast.Constant) else None
        model = isinstance(call.func, ast.Attribute) and dotted(call.func) != "re.compile"
        if model and (not isinstance(named, str) or _CROSS_ENTROPY.search(named)):
            self.compiles.setdefault(self._inside, call.lineno)

    def _use(self, value: ast.expr, role: str) -> None:
        if isinstance(value, (ast.List, ast.Tuple)):
            for item in value.elts:
                self._use(item, role)
        elif isinstance(value, ast.Dict):
            for item in value.values:
                self._use(item, role)
        elif isinstance(value, ast.IfExp):
            self._use(value.body, role)
            self._use(value.orelse, role)
        elif isinstance(value, ast.Lambda):
            self._use_expression(value, role)
        elif isinstance(value, ast.Call):
            name = dotted(value.func)
            self._use_expression(value, role)
            if name:
                self.uses.append(Use(name, role, called=True, line=value.lineno))
                self.settings.setdefault(name.rpartition(".")[2], settings_of(value))
                if name.rpartition(".")[2] == "partial":
                    return
                for item in (*value.args, *(k.value for k in value.keywords)):
                    # partial(loss, gamma=2.) and wrappers hand the role on to what they wrap
                    if isinstance(item, (ast.Name, ast.Attribute)) and dotted(item):
                        self.uses.append(Use(dotted(item), role, called=False, line=value.lineno))
        elif isinstance(value, ast.Subscript):
            self._use_expression(value, role)
        elif isinstance(value, ast.Name) and self.choices.get(value.id):
            # What is bound to itself in turn is left out, else there would be no end.
            for item in self.choices.pop(value.id):
                self._use(item, role)
        else:
            name = dotted(value)
            if name:
                self.uses.append(Use(name, role, called=False, line=value.lineno))

    def _use_expression(self, value: ast.expr, role: str) -> None:
        """Note an expression that makes the function which is handed on."""
        name = f"<expression:{value.lineno}:{value.col_offset}>"
        ends = (value.end_lineno or value.lineno, value.end_col_offset or 0)
        self.expressions[name] = (value.lineno, value.col_offset, *ends)
        self.uses.append(Use(name, role, called=False, line=value.lineno))


def _holds_metrics(target: ast.expr) -> bool:
    """Tell whether an attribute is named as the argument of `compile` that it is kept for."""
    return isinstance(target, ast.Attribute) and target.attr in _METRIC_KEYWORDS
