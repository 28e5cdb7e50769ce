"""Lowering: from a unit of the scene to value graphs, one for each way through its branches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import libcst as cst

from actlint.dotted import bare
from actlint.graph import DType, Graph, InputRole, Node, Role, Site, Span
from actlint.index import Definition
from actlint.literals import Settings
from actlint.lower import calls, expressions, gradients, optional, options, sinks, statements, tapes
from actlint.lower.attributes import (
    bound_method,
    function_node,
    global_value,
    initialise,
    injected,
    parameter,
)
from actlint.lower.bounds import narrowed
from actlint.lower.contracts import documented
from actlint.lower.distinct import distinct
from actlint.lower.domains import with_domains
from actlint.lower.limits import ENOUGH_BUILDING, MAX_PATHS, MAX_STEPS, MAX_TRIES, TooLarge
from actlint.lower.machine import Hooks, Machine
from actlint.lower.marks import Mark
from actlint.lower.module import Module
from actlint.lower.results import minimised
from actlint.lower.special import FOREIGN
from actlint.lower.support import within
from actlint.lower.tracing import Path, Tracing, both_ways
from actlint.lower.values import (
    Class,
    Function,
    Instance,
    Mapping,
    Opaque,
    Partial,
    Scope,
    Sequence,
    Static,
    TensorValue,
    Value,
    dependencies,
    leaves,
)
from actlint.names import last
from actlint.parameters import roles_by_name
from actlint.scene import Unit

_MAX_OUTPUTS = 4
_MAX_MODELS = 12  # compiled by one function or script
_COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
_LOGICAL = {"logical_and", "logical_or", "logical_not", "where_indices"}
_DECISIONS = frozenset({"argmax", "argmin", "argsort", "keras_argmax"} | _COMPARISONS | _LOGICAL)
_DIFFERENTIATED = frozenset({InputRole.ACTIVATION, InputRole.PREDICTION, InputRole.VARIABLE})


@dataclass(frozen=True, slots=True)
class Lowered:
    """The graphs of a unit, or why there are none."""

    unit: Unit
    graphs: tuple[Graph, ...]
    reason: str = ""  # why it cannot be lowered
    too_large: bool = False  # some way through it computes more than is followed
    # Of each graph, which expressions of the source have which of its values, if asked for.
    marks: tuple[tuple[Mark, ...], ...] = ()


def _run_function(machine: Machine, scope: Scope, node: cst.FunctionDef | cst.Lambda) -> Value:
    if isinstance(node, cst.Lambda):
        return expressions.evaluate(machine, scope, node.body)
    try:
        statements.run_body(machine, scope, node.body)
    except statements.Returned as returned:
        return returned.value
    return Static(None)


_HOOKS = Hooks(expressions.evaluate, calls.call, _run_function)


def lower(module: Module, unit: Unit, *, marked: bool = False) -> Lowered:
    """Lower a unit along every path, up to a bound.

    Args:
        module: where the unit stands.
        unit: what to lower.
        marked: keep marks of what is evaluated, for each graph.

    Returns:
        The graphs, or none and the reason in one sentence.
    """
    graphs: list[tuple[Graph, tuple[Mark, ...]]] = []
    paths: list[Path] = []
    choices: tuple[bool, ...] | None = ()
    too_large = False
    steps = MAX_STEPS
    ways = 0
    for _ in range(MAX_TRIES):
        machine = Machine(module, unit.role, _HOOKS, choices or (), steps)
        machine.reading, machine.compiling = unit.reads, unit.compiles
        machine.building = unit.builds
        machine.marks = [] if marked else None
        machine.tracing = Tracing(unit.states) if unit.tracing else None
        try:
            found = within(_run(machine, unit), unit)
            graphs += [(graph, tuple(machine.marks or ())) for graph in found]
            if machine.tracing is not None:
                paths.append(Path(tuple(machine.taken), tuple(machine.tracing.forks), tuple(found)))
            ways += 1
        except options.Raised:
            pass
        except TooLarge:
            too_large = True
            ways += 1
        except cst.ParserSyntaxError as error:
            return Lowered(unit, (), f"LibCST cannot parse it: {error.message}")
        except RecursionError:
            too_large = True
            break
        steps = machine.steps
        choices = _next_choices(machine.taken)
        spent = steps <= (MAX_STEPS - ENOUGH_BUILDING if unit.builds else 0)
        if choices is None or ways == MAX_PATHS or spent:
            break
    graphs += [(graph, ()) for graph in both_ways(paths)]
    kept = distinct(graphs)
    return Lowered(
        unit,
        tuple(graph for graph, _ in kept),
        too_large=too_large,
        marks=tuple(marks for _, marks in kept) if marked else (),
    )


def _next_choices(taken: list[bool]) -> tuple[bool, ...] | None:
    """Return the decisions of the next path, depth first, or None if all were taken."""
    prefix = list(taken)
    while prefix and not prefix[-1]:
        prefix.pop()
    if not prefix:
        return None
    prefix[-1] = False
    return tuple(prefix)


def _run(machine: Machine, unit: Unit) -> list[Graph]:
    site, value = _unit_value(machine, unit)
    outputs = sinks.minimised(machine)
    whole = bool(outputs)
    if not outputs or unit.role not in {Role.GRAPH, Role.TRAINING_STEP}:
        found, whole = _outputs(value)
        found = [machine.held.get(node, node) for node in found]
        outputs = list(dict.fromkeys([*found, *outputs]))
    if unit.role in {Role.GRAPH, Role.TRAINING_STEP} and not machine.sinks:
        return []
    if isinstance(value, Mapping) and unit.evidence.startswith("public function of"):
        return []  # a report by names, not a loss
    feeding = {} if unit.reads else _feeding_cuts(machine, outputs)
    if unit.builds:
        outputs = [node for node in outputs if machine.nodes[node].op]
    partial = [n for n in feeding if n not in outputs]
    most = _MAX_MODELS if unit.compiles else _MAX_OUTPUTS
    nodes = _finish(machine, keras=unit.compiled)
    graphs = [
        Graph(
            nodes=nodes,
            output=output,
            role=unit.role,
            name=machine.name or _shown(unit),
            site=site,
            # A branch that is taken later does not decide how the output is computed.
            assumptions=tuple(a for a in machine.assumptions if a[0] < output),
            evidence=unit.evidence,
            used=unit.used or machine.used,
            opaque=tuple(machine.cut_texts),
            # Of a loss that returns several values, the first is the one that is minimised.
            keras=unit.compiled,
            aligned=unit.aligned,
            chosen=bool(machine.taken),
            called=unit.called,
            read=unit.reads,
            linear=tuple(machine.linear),
            gradients=tuple(machine.gradients),
            networks=tapes.networks(machine, output),
            tracing=unit.tracing,
            once=() if machine.tracing is None else tuple(machine.tracing.once),
            partial=position >= len(outputs)
            or not whole
            or (position > 0 and unit.role is Role.LOSS),
            joined=not feeding[output]
            if position >= len(outputs)
            else not whole and len(outputs) > 1,
        )
        for position, output in enumerate([*outputs[:most], *partial[:_MAX_OUTPUTS]])
    ]
    if machine.homes and machine.homes <= FOREIGN and not unit.evidence.startswith("passed on"):
        # A reference implementation in NumPy or another library: no tape watches it.
        return []
    if unit.role is Role.LOSS and whole:
        graphs = minimised(graphs, len(outputs[:most]))
    if unit.role is Role.LAYER:
        # A layer that hands out classes or decisions is not trained through.
        graphs = [graph for graph in graphs if not _is_decision(nodes[graph.output])]
    return graphs


def _feeding_cuts(machine: Machine, outputs: list[int]) -> dict[int, bool]:
    """Return the nodes that feed something cut off that the outputs depend on.

    What only an evaluation or a printout uses is no part of what is trained.

    Returns:
        The nodes in order, and whether each feeds some of it alone.
    """
    fed = dict(machine.cut_sources)
    found: dict[int, bool] = {}
    seen = set(outputs)
    pending = list(outputs)
    while pending:
        current = pending.pop()
        sources = fed.get(current, ())
        for source in sources:
            if machine.nodes[source].op:
                found[source] = found.get(source, False) or len(sources) == 1
        for source in (*machine.nodes[current].operands, *sources):
            if source not in seen:
                seen.add(source)
                pending.append(source)
    return dict(sorted(found.items()))


def _shown(unit: Unit) -> str:
    """Return the name that reports give a unit."""
    return "<lambda>" if unit.qualname.startswith("<expression:") else bare(unit.qualname)


def _is_decision(node: Node) -> bool:
    dtype = node.arg("dtype")
    name = dtype.name if isinstance(dtype, DType) else dtype
    if node.op == "cast":
        return isinstance(name, str) and not name.startswith(("float", "bfloat", "half", "double"))
    return node.op in _DECISIONS


def _finish(machine: Machine, *, keras: bool) -> tuple[Node, ...]:
    named = [
        replace(node, name=machine.names[node.id])
        if node.id in machine.names and not node.name
        else node
        for node in machine.nodes
    ]
    known = frozenset((*machine.linear, *machine.cosines))
    if not keras:
        named = machine.slopes.examined(named)
    nodes = with_domains(named, machine.role, machine.assumed_rank, known)
    return narrowed(nodes, machine.bounds)


def _outputs(value: Value) -> tuple[list[int], bool]:
    """Return the nodes that a returned value consists of, and whether they are all of it."""
    if isinstance(value, TensorValue):
        return [value.node], True
    if isinstance(value, (Sequence, Mapping)):
        found: list[int] = []
        whole = True
        for leaf in leaves(value):
            nodes, complete = _outputs(leaf)
            found += nodes
            whole = whole and complete
        return found, whole
    if isinstance(value, Opaque):
        return sorted(dependencies(value)), False
    return [], False


def _unit_value(machine: Machine, unit: Unit) -> tuple[Site, Value]:
    module = machine.module
    scope = Scope(module)
    if unit.qualname == "<module>":
        tree = module.whole()
        statements.run_statements(machine, scope, tree.body)
        return Site(module.path, Span(1, 1, 1, 1), ""), Static(None)
    if unit.qualname.startswith("<expression:"):
        node = module.expression(unit.qualname)
        value = None if node is None else expressions.evaluate(machine, scope, node)
        if isinstance(value, Function) and value.scope.module is not module and node is not None:
            machine.used = (machine.site(node),)
        return _made(machine, unit, value)
    definition = module.index.definitions.get(unit.qualname)
    if definition is not None and bare(unit.qualname) != unit.qualname:
        machine.before = (module.path, definition.line)
    if definition is not None and definition.kind == "assign":
        return _made(machine, unit, global_value(machine, module, unit.qualname))
    if definition is None:
        function = _inherited(machine, unit)
    else:
        function = _function(machine, scope, definition)
    if function is None:
        return _nothing(unit)
    if _has_run(machine, unit, function):
        return machine.site(function.node), Static(None)
    machine.modules.append(function.scope.module)
    try:
        return _apply(machine, function, dict(unit.inputs))
    finally:
        machine.modules.pop()


def _has_run(machine: Machine, unit: Unit, function: Function) -> bool:
    """Tell whether making the object has run the constructor that the unit is, up to a sink."""
    constructor = unit.qualname.rpartition(".")[2] == "__init__" and function.instance is not None
    return constructor and bool(machine.sinks) and unit.role in {Role.GRAPH, Role.TRAINING_STEP}


def _inherited(machine: Machine, unit: Unit) -> Function | None:
    """Return the entry method that a class takes over from a base class."""
    owner, _, name = unit.qualname.rpartition(".")
    instance = Instance(Class(owner, machine.module))
    method = bound_method(instance, name)
    if method is not None and method.owner_class is not None:
        machine.modules.append(method.owner_class.module)
        try:
            initialise(machine, instance, method.node)
        finally:
            machine.modules.pop()
    return method


def _nothing(unit: Unit) -> tuple[Site, Value]:
    """Return what a unit without a function that can be applied computes."""
    return Site(unit.path, Span(unit.line, 1, unit.line, 1), ""), Static(None)


def _made(machine: Machine, unit: Unit, value: Value | None) -> tuple[Site, Value]:
    """Apply the function that an expression made: a lambda, a closure, an entry of a table."""
    settings = dict[str, Value]()
    while isinstance(value, Partial):
        settings = dict(value.keywords) | settings
        value = None if value.args else value.function
    if not isinstance(value, Function):
        return _nothing(unit)
    params = value.node.params
    names = [
        p.name.value
        for p in (*params.posonly_params, *params.params)
        if p.default is None and p.name.value not in settings
    ]
    method = value.instance is not None
    roles = roles_by_name(names[1:] if method else names, unit.role, method=method)
    if unit.role is Role.LOSS and len(names) == 2 and InputRole.LABEL not in roles.values():
        roles = dict(zip(names, (InputRole.LABEL, InputRole.PREDICTION), strict=True))
    if not isinstance(value.node, cst.Lambda):
        machine.name = bare(value.qualname)
    machine.modules.append(value.scope.module)
    try:
        return _apply(machine, value, roles, settings)
    finally:
        machine.modules.pop()


def _function(machine: Machine, scope: Scope, definition: Definition) -> Function | None:
    """Return the function value of a definition: method, closure or plain function."""
    module = machine.module
    qualname = definition.qualname
    outer_name, _, name = qualname.rpartition(".<locals>.")
    if outer_name:
        return _closure(machine, outer_name, name)
    owner, _, _ = qualname.rpartition(".")
    if definition.kind == "lambda":
        tree = module.tree(definition)
        value = expressions.evaluate(machine, scope, _assigned(tree))
        return value if isinstance(value, Function) else None
    node = function_node(module, definition)
    if node is None:
        return None
    record = module.index.definitions.get(owner)
    if record is not None and record.kind == "class":
        instance = Instance(Class(owner, module))
        initialise(machine, instance, node.name)
        first = definition.params[:1]  # called through the class, it is given this, too
        static = "staticmethod" in definition.decorators or first not in {(), ("self",), ("cls",)}
        return Function(node, scope, qualname, None if static else instance, instance.cls)
    return Function(node, scope, qualname)


def _assigned(tree: cst.Module) -> cst.BaseExpression:
    line = tree.body[0]
    if isinstance(line, cst.If):
        line = line.body.body[0]  # type: ignore[assignment]
    assert isinstance(line, cst.SimpleStatementLine)
    small = line.body[0]
    assert isinstance(small, (cst.Assign, cst.AnnAssign))
    assert small.value is not None
    return small.value


def _closure(machine: Machine, outer_name: str, name: str) -> Function | None:
    """Run the enclosing function with its defaults and return the function it defines."""
    module = machine.module
    definition = module.index.definitions.get(outer_name)
    if definition is None or definition.kind != "function":
        return None
    outer = _function(machine, Scope(module), definition)
    if outer is None or not isinstance(outer.node, cst.FunctionDef):
        return None
    inner = Scope(module, outer.scope, owner_class=outer.owner_class)
    _bind(machine, inner, outer, {}, module.index.settings.get(last(bare(outer_name))))
    result: Value = Static(None)
    try:
        statements.run_body(machine, inner, outer.node.body)
    except statements.Returned as returned:
        result = returned.value
    if name == "<lambda>":
        return result if isinstance(result, Function) else None
    head, _, method = name.partition(".")
    found = inner.variables.get(head)
    if isinstance(found, Class) and method:
        target = module.index.definitions.get(f"{outer_name}.<locals>.{name}")
        node = function_node(module, target) if target is not None else None
        if node is None:
            return None
        instance = Instance(Class(f"{outer_name}.<locals>.{head}", module))
        initialise(machine, instance, node.name)
        return Function(node, inner, name, instance, instance.cls)
    return found if isinstance(found, Function) else None


def _apply(
    machine: Machine,
    function: Function,
    roles: dict[str, InputRole],
    bound: dict[str, Value] | None = None,
) -> tuple[Site, Value]:
    node = function.node
    at = node.name if isinstance(node, cst.FunctionDef) else node
    site = machine.site(at)
    scope = Scope(function.scope.module, function.scope, owner_class=function.owner_class)
    settings = None
    if machine.role is Role.LAYER and function.instance is None:
        settings = function.scope.module.index.settings.get(function.qualname)
    _bind(machine, scope, function, roles, settings)
    scope.variables.update(bound or {})
    if machine.role is Role.CUSTOM_GRADIENT:
        return site, gradients.claim(machine, scope, function)
    machine.running.append((function.scope.module, node))
    try:
        value = _run_function(machine, scope, node)
    finally:
        machine.running.pop()
    # Whoever runs a generator is looked at, not the generator.
    return site, value if scope.yields is None else Static(None)


def _bind(
    machine: Machine,
    scope: Scope,
    function: Function,
    roles: dict[str, InputRole],
    settings: Settings | None = None,
) -> None:
    """Give every parameter its input, its setting or default, or a hyperparameter of its name."""
    params = function.node.params
    if isinstance(params.star_arg, cst.Param):
        scope.variables[params.star_arg.name.value] = Sequence([], is_tuple=True)
    if params.star_kwarg is not None:
        scope.variables[params.star_kwarg.name.value] = Mapping({}, keywords=True)
    everything = [*params.posonly_params, *params.params, *params.kwonly_params]
    for position, item in enumerate(everything):
        name = item.name.value
        setting = None if settings is None else settings.get(name, position)
        if position == 0 and function.instance is not None:
            scope.variables[name] = function.instance
        elif setting is not None:
            scope.variables[name] = Static(setting)
        elif name in roles and roles[name] is not InputRole.PARAMETER:
            scope.variables[name] = machine.input(
                name,
                roles[name],
                machine.site(item.name),
                differentiated=roles[name] in _DIFFERENTIATED,
            )
        elif item.default is not None:
            value = expressions.evaluate(machine, function.scope, item.default)
            given = optional.role(machine, function, name, value)
            if given is not None and not machine.decide(Opaque("")):
                value = machine.input(name, given, machine.site(item.name), differentiated=False)
            elif isinstance(value, Static) and value.value is None:
                value = injected(machine, function.scope.module, name) or value
            public = options.is_public(bare(function.qualname))
            scope.variables[name] = options.with_default(machine, value) if public else value
        elif last(name) in {"training", "is_training"}:
            scope.variables[name] = Static(True)
        else:
            scope.variables[name] = parameter(machine, name, item.name, item.annotation)
    documented(machine, scope, function)
