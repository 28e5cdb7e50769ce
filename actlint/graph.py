"""The value graph: what one activation, loss or graph script computes, in SSA form.

Every stage between lowering and the report hands on these frozen values. The module imports
nothing but the standard library, so that the TensorFlow worker can share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

# Magnitude up to which a free real value is taken to go before training has visibly diverged.
EXTENDED_LIMIT = 1000.0
# Beyond this magnitude a standard normal pre-activation is not typical any more.
TYPICAL_LIMIT = 6.0
# Magnitude that trained weights stay below, in terms of where they start if that is more than 1.
WEIGHT_GROWTH = 10.0


class Role(StrEnum):
    """What a function or script is for, which decides what is differentiated."""

    ACTIVATION = "activation"
    LOSS = "loss"
    REGULARIZER = "regularizer"
    LAYER = "layer"
    METRIC = "metric"
    TRAINING_STEP = "training-step"
    GRAPH = "graph"
    CUSTOM_GRADIENT = "custom-gradient"  # a function that brings its own gradient


class InputRole(StrEnum):
    """What a free input of the graph stands for."""

    ACTIVATION = "activation"  # the argument of an activation or layer
    PREDICTION = "prediction"  # output of the model as a loss sees it
    LABEL = "label"  # target, mask or sample weight: no gradient goes there
    DATA = "data"  # placeholder, batch or file content: no gradient goes there
    VARIABLE = "variable"  # trained weight
    PARAMETER = "parameter"  # hyperparameter: a plain number that the user chooses sensibly
    CUT = "cut"  # value of an expression that cannot be run, such as a layer call


@dataclass(frozen=True, slots=True)
class Span:
    """A region of a file; lines and columns count from 1, columns in Unicode code points."""

    line: int
    column: int
    end_line: int
    end_column: int  # one past the last character


@dataclass(frozen=True, slots=True)
class Site:
    """Where an expression stands: file, span and the user's own text."""

    path: str
    span: Span
    text: str
    # Of a notebook, in reports: the cell, counted from 1, in which the span counts its lines.
    cell: int | None = None

    @property
    def place(self) -> str:
        """The file, with the cell if it is a notebook."""
        return place(self.path, self.cell)


def place(path: str, cell: int | None) -> str:
    """Return ``path``, or ``path:cell 3`` as ruff spells it."""
    return path if cell is None else f"{path}:cell {cell}"


@dataclass(frozen=True, slots=True)
class Ref:
    """An operand that is another node of the graph."""

    node: int


@dataclass(frozen=True, slots=True)
class DType:
    """A static dtype operand, by its TensorFlow name such as ``float32``."""

    name: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list operand, as ``tf.concat``, ``tf.stack`` or an ``axis`` tuple take."""

    items: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """One ``start:stop:step`` of a subscript."""

    start: Arg
    stop: Arg
    step: Arg


@dataclass(frozen=True, slots=True)
class Dots:
    """The ``...`` of a subscript."""


# A static Python value, or one of the above.
Arg = Ref | DType | Items | Slice | Dots | None | bool | int | float | str


@dataclass(frozen=True, slots=True)
class Input:
    """A free input: a parameter of the function, or a value that was cut off."""

    name: str  # a Python identifier, unique within the graph
    role: InputRole
    differentiated: bool  # the gradient with respect to it is what training uses
    lo: float  # least value it is assumed to take; closed
    hi: float  # largest value it is assumed to take; closed
    shape: tuple[int | None, ...] | None = None  # what the source says of it, if anything
    integer: bool = False  # class indices, token ids
    default: float | None = None  # of a PARAMETER: the number that the source gives
    # The result of a function that is not known: nothing says which values it takes.
    unknown: bool = False
    # Least magnitude of its elements: what training moves away from another start than 0 crosses
    # 0 in steps, and no step ends there.
    least: float = 0.0
    per_class: bool = False  # a list of numbers, one for each class


@dataclass(frozen=True, slots=True)
class Node:
    """One value. ``op`` is a key of the ops table, or "" for an input or a constant."""

    id: int  # index in Graph.nodes
    op: str
    args: tuple[tuple[str, Arg], ...]  # bound to the parameter names of the op's row
    site: Site
    path: tuple[Site, ...] = ()  # call sites through which an inlined helper was reached
    input: Input | None = None
    value: Arg = None  # of a constant: number, bool, string or nested Items
    name: str = ""  # variable that the user's code binds this value to, if any

    def arg(self, name: str) -> Arg:
        """Return the operand bound to parameter `name`, or None."""
        return next((value for key, value in self.args if key == name), None)

    @property
    def operands(self) -> tuple[int, ...]:
        """Ids of all nodes that this one reads, in order of appearance."""
        return tuple(ref for _, value in self.args for ref in refs(value))


def refs(value: Arg) -> tuple[int, ...]:
    """Return the node ids that an operand mentions, however nested."""
    if isinstance(value, Ref):
        return (value.node,)
    if isinstance(value, Items):
        return tuple(ref for item in value.items for ref in refs(item))
    if isinstance(value, Slice):
        return (*refs(value.start), *refs(value.stop), *refs(value.step))
    return ()


@dataclass(frozen=True, slots=True)
class Once:
    """A number that Python reads or computes once, while TensorFlow traces the function."""

    node: int  # the free input that stands for it
    lost: str  # what does not happen any more after that, as a clause


@dataclass(frozen=True, slots=True)
class Graph:
    """The values of one function or script on one path through its Python branches."""

    nodes: tuple[Node, ...]  # operands come before their users
    output: int  # node whose gradient training takes
    role: Role
    name: str  # qualified name, or "<module>"
    site: Site  # the definition
    assumptions: tuple[tuple[int, bool], ...] = ()  # tensor conditions that hold on this path
    evidence: str = ""  # why the role is believed, in words
    opaque: tuple[str, ...] = field(default=())  # texts of calls that were cut off
    used: tuple[Site, ...] = ()  # where another file hands the function to what trains it
    # The output is what an opaque call is fed with: the real output lies beyond a forward cut.
    partial: bool = False
    # Of a partial graph: the opaque call is fed with other values, too, so that another path for
    # the gradient may lead through it.
    joined: bool = False
    # A Keras model calls the function: its first parameter is given labels, whatever its name.
    keras: bool = False
    # Before it does, it brings labels and predictions to one rank: (N,) becomes (N, 1).
    aligned: bool = False
    # One of several ways through the function, between which its settings choose.
    chosen: bool = False
    # The project calls the function: what is made of its result is for the caller to say.
    called: bool = False
    # The layers of models are part of it, as far as they are known; it stands beside the graph
    # of the same code in which they are cut off.
    read: bool = False
    # Dtype in which training computes it: float32, or the one that a policy of mixed precision or
    # the user asks for; and who asks for it, in words.
    dtype: str = "float32"
    policy: str = ""
    # Free inputs that are outputs of linear layers: dense or convolution without activation.
    linear: tuple[int, ...] = ()
    # Free inputs that are gradients which the code takes: their axes are those of what it takes
    # them by.
    gradients: tuple[int, ...] = ()
    # Of a training step: the free inputs that networks compute under the tape whose variables the
    # output is differentiated by, and a number for each of these networks.
    networks: tuple[tuple[int, int], ...] = ()
    # What Python computes while TensorFlow traces is an input; it stands beside the graph of the
    # same code in which such numbers are constants.
    tracing: bool = False
    once: tuple[Once, ...] = ()

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The free inputs, in order of appearance."""
        return tuple(node for node in self.nodes if node.input is not None)


def needed(graph: Graph) -> tuple[int, ...]:
    """Return the nodes that the output and the conditions of its path rest on, in order."""
    found = {graph.output, *(node for node, _ in graph.assumptions)}
    for node in reversed(graph.nodes):
        if node.id in found:
            found.update(node.operands)
    return tuple(sorted(found))


def exchanged(graph: Graph, node: Node) -> Graph:
    """Return the graph with another node for one; what the output does not rest on is left out."""
    live = set(needed(graph))
    nodes = [
        each if each.id in live else replace(each, op="", args=(), input=None, value=0.0)
        for each in graph.nodes
    ]
    nodes[node.id] = node
    return replace(graph, nodes=tuple(nodes))


def renumbered(node: Node, ids: Mapping[int, int]) -> Node:
    """Return a node with other ids for itself and for what it refers to."""
    args = tuple((name, moved(arg, ids)) for name, arg in node.args)
    return replace(node, id=ids.get(node.id, node.id), args=args, value=moved(node.value, ids))


def moved(arg: Arg, ids: Mapping[int, int]) -> Arg:
    """Return an operand with other ids for the nodes that it mentions, however nested."""
    if isinstance(arg, Ref):
        return Ref(ids.get(arg.node, arg.node))
    if isinstance(arg, Items):
        return Items(tuple(moved(item, ids) for item in arg.items))
    if isinstance(arg, Slice):
        return Slice(*(moved(part, ids) for part in (arg.start, arg.stop, arg.step)))
    return arg
