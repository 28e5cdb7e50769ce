"""Numbers that Python computes once, while TensorFlow traces, as free inputs of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import libcst as cst

from actlint.changes import State
from actlint.graph import Arg, Graph, InputRole, Items, Node, Once, Ref, Slice
from actlint.lower.values import Class, Mapping, Scope, Static, TensorValue, Value
from actlint.ops.table import TABLE, lookup

if TYPE_CHECKING:
    from actlint.lower.machine import Machine

# What gives another number at each call.
_CLOCKS = frozenset(
    {
        "random.gauss", "random.normalvariate", "random.randint", "random.random",
        "random.randrange", "random.triangular", "random.uniform", "time.monotonic",
        "time.perf_counter", "time.process_time", "time.time",
    }
)  # fmt: skip
_READS = frozenset({"K.get_value", "K.eval", "tf.keras.backend.get_value", "tf.keras.backend.eval"})
_VARIABLES = frozenset({InputRole.VARIABLE, InputRole.PARAMETER})
_DOMAIN = (-1000.0, 1000.0)
_FLAG = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Fork:
    """A Python branch whose condition rests on such numbers alone."""

    position: int  # among the decisions of the path
    condition: int  # node
    size: int  # nodes that were made before


@dataclass(slots=True)
class Tracing:
    """What is known, on one path, of the numbers that Python computes while TensorFlow traces."""

    states: tuple[State, ...]
    nodes: set[int] = field(default_factory=set)  # that rest on such numbers
    once: list[Once] = field(default_factory=list)
    forks: list[Fork] = field(default_factory=list)
    _made: dict[State, TensorValue] = field(default_factory=dict)
    # Dictionaries some of whose entries are changed, by their identity.
    _tables: dict[int, tuple[Mapping, list[State]]] = field(default_factory=dict)

    def follow(self, operands: Iterable[int], node: int) -> None:
        """Note that a node was computed from others."""
        if not self.nodes.isdisjoint(operands):
            self.nodes.add(node)

    def fork(self, machine: Machine, condition: Value, position: int) -> None:
        """Note a decision, if nothing but such numbers and settings make it."""
        if self.rests([condition]) and isinstance(condition, TensorValue):
            self.forks.append(Fork(position, condition.node, len(machine.nodes)))

    def rests(self, values: Iterable[Value]) -> bool:
        """Tell whether a value rests on such numbers."""
        return any(isinstance(v, TensorValue) and v.node in self.nodes for v in values)

    def attribute(
        self, machine: Machine, lineage: Iterable[Class], name: str, value: Value, at: cst.CSTNode
    ) -> Value:
        """Return the value of an attribute, or the input that stands for it.

        Args:
            machine: the lowering.
            lineage: the object's class and those above.
            name: of the attribute.
            value: what it holds.
            at: where it is read.
        """
        homes = {(cls.module.path, cls.qualname) for cls in lineage}
        for state in self.states:
            if state.name == name and (state.path, state.owner) in homes:
                if not state.key:
                    return self._state(machine, state, value, at) or value
                self._keep(state, value)
        return value

    def variable(
        self, machine: Machine, scope: Scope, name: str, value: Value, at: cst.CSTNode
    ) -> Value:
        """Return the value of a name, or the input that stands for it."""
        if name in scope.variables:
            return value
        enclosed = scope.find(name) is not None
        for state in self.states:
            home = (state.path, bool(state.owner))
            if state.name == name and home == (scope.module.path, enclosed):
                if not state.key:
                    return self._state(machine, state, value, at) or value
                self._keep(state, value)
        return value

    def _keep(self, state: State, value: Value) -> None:
        """Note that an entry of a dictionary is changed."""
        if isinstance(value, Mapping):
            _, states = self._tables.setdefault(id(value), (value, []))
            if state not in states:
                states.append(state)

    def entry(
        self, machine: Machine, table: Mapping, key: object, value: Value, at: cst.CSTNode
    ) -> Value:
        """Return the value of an entry of a dictionary, or the input that stands for it."""
        _, states = self._tables.get(id(table), (table, []))
        for state in states:
            if state.key == key:
                return self._state(machine, state, value, at) or value
        return value

    def _state(
        self, machine: Machine, state: State, value: Value, at: cst.CSTNode
    ) -> TensorValue | None:
        if state in self._made:
            return self._made[state] if _is_number(machine, value) else None
        if not (_is_number(machine, value) and machine.is_repeated(at)):
            return None
        lost = f"what {state.change} sets it to never arrives"
        if state.counts:
            lost = "it is not counted on from step to step"
        made = self._input(machine, state.key or state.name, value, lost, at)
        if isinstance(value, Static) and isinstance(value.value, bool):
            flag = machine.emit_key("not_equal", (made, Static(0.0)), at)
            assert isinstance(flag, TensorValue)
            made = flag
        self._made[state] = made
        return made

    def read(
        self, machine: Machine, qualified: str, short: str, args: list[Value], at: cst.CSTNode
    ) -> Value | None:
        """Return the result of a call that Python makes while TensorFlow traces, or None."""
        if qualified.startswith("math.") and self.rests(args):
            op = lookup(f"numpy.{qualified.removeprefix('math.')}")
            if op is not None and len(args) == len(op.operands):
                pairs = zip(op.params, args, strict=False)
                return machine.emit(op, [(n, machine.arg(v, at)) for n, v in pairs], at)
        name = qualified.rpartition(".")[2]
        if qualified in _CLOCKS and machine.is_repeated(at):
            lost = "all steps get the number of that call"
            return self._input(machine, name, Static(None), lost, at)
        if short in _READS and len(args) == 1 and machine.is_repeated(at):
            source = args[0]
            record = machine.nodes[source.node].input if isinstance(source, TensorValue) else None
            if record is not None and record.role in _VARIABLES:
                lost = "what the variable is assigned later never reaches it"
                return self._input(machine, record.name, Static(record.default), lost, at)
        return None

    def _input(
        self, machine: Machine, name: str, value: Value, lost: str, at: cst.CSTNode
    ) -> TensorValue:
        start = value.value if isinstance(value, Static) else None
        domain = _FLAG if isinstance(start, bool) else _DOMAIN
        made = machine.input(
            name, InputRole.PARAMETER, machine.site(at), differentiated=False, domain=domain
        )
        if isinstance(start, (int, float)):
            node = machine.nodes[made.node]
            assert node.input is not None
            known = replace(node.input, default=float(start))
            machine.nodes[made.node] = replace(node, input=known)
        self.nodes.add(made.node)
        self.once.append(Once(made.node, lost))
        return made


def _is_number(machine: Machine, value: Value) -> bool:
    """Tell whether a value is a plain number or a flag, given or left to the user."""
    if isinstance(value, Static):
        return isinstance(value.value, (int, float))
    if isinstance(value, TensorValue):
        record = machine.nodes[value.node].input
        return record is not None and record.role is InputRole.PARAMETER
    return False


@dataclass(frozen=True, slots=True)
class Path:
    """One way through a function."""

    taken: tuple[bool, ...]
    forks: tuple[Fork, ...]
    graphs: tuple[Graph, ...]


def both_ways(paths: Sequence[Path]) -> Iterator[Graph]:
    """Yield a graph for each fork that leads to two outputs, of which its condition picks one."""
    seen = set[tuple[int, tuple[bool, ...]]]()
    for one in paths:
        for fork in one.forks:
            before = one.taken[: fork.position]
            if not one.taken[fork.position] or (fork.position, before) in seen:
                continue
            seen.add((fork.position, before))
            other = next(
                (p for p in paths if p.taken[: fork.position + 1] == (*before, False)), None
            )
            if other is not None and len(one.graphs) == len(other.graphs) == 1:
                yield from _joined(one.graphs[0], other.graphs[0], fork)


def _joined(one: Graph, other: Graph, fork: Fork) -> Iterator[Graph]:
    """Yield the graph of both, unless they compute the same."""
    shift = len(one.nodes) - fork.size
    if one.output < fork.size and other.output == one.output:
        return
    names = {node.input.name for node in one.nodes if node.input is not None}
    nodes = list(one.nodes)
    for node in other.nodes[fork.size :]:
        if node.input is not None and node.input.name in names:
            return  # a cut in either branch: which one a witness means could not be told
        if node.op in TABLE and (TABLE[node.op].draws or "dropout" in node.op):
            return  # two draws differ without any branch
        args = tuple((name, _moved(arg, fork.size, shift)) for name, arg in node.args)
        nodes.append(replace(node, id=node.id + shift, args=args))
    end = other.output + (shift if other.output >= fork.size else 0)
    chosen = (("condition", Ref(fork.condition)), ("x", Ref(one.output)), ("y", Ref(end)))
    site = one.nodes[fork.condition].site
    nodes.append(Node(len(nodes), "where", chosen, site))
    yield replace(
        one,
        nodes=tuple(nodes),
        output=len(nodes) - 1,
        assumptions=tuple(a for a in one.assumptions if a in other.assumptions),
        once=tuple(dict.fromkeys((*one.once, *(_later(o, fork.size, shift) for o in other.once)))),
    )


def _later(once: Once, size: int, shift: int) -> Once:
    return once if once.node < size else replace(once, node=once.node + shift)


def _moved(arg: Arg, size: int, shift: int) -> Arg:
    """Return an operand of a node that is moved behind others."""
    if isinstance(arg, Ref):
        return arg if arg.node < size else Ref(arg.node + shift)
    if isinstance(arg, Items):
        return Items(tuple(_moved(item, size, shift) for item in arg.items))
    if isinstance(arg, Slice):
        return Slice(*(_moved(part, size, shift) for part in (arg.start, arg.stop, arg.step)))
    return arg
