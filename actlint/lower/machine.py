"""The state of one lowering: nodes made so far, decisions taken, and how values become operands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from actlint.graph import (
    EXTENDED_LIMIT,
    Arg,
    Input,
    InputRole,
    Items,
    Node,
    Ref,
    Role,
    Site,
    Span,
    refs,
)
from actlint.lower import products
from actlint.lower.bounds import Bound
from actlint.lower.limits import MAX_NODES, MAX_STEPS, TooLarge, Unlowerable
from actlint.lower.marks import Mark, marked, written
from actlint.lower.module import Module
from actlint.lower.naming import Names, callee_name, is_count
from actlint.lower.slopes import WITHOUT, Slopes
from actlint.lower.tracing import Tracing
from actlint.lower.values import (
    Built,
    Method,
    Opaque,
    Scope,
    Sequence,
    Static,
    StaticShape,
    TensorValue,
    Value,
    dependencies,
    is_number,
)
from actlint.ops.model import Kind, Op
from actlint.ops.table import TABLE, row
from actlint.values import SHAPE_ONLY

if TYPE_CHECKING:
    from actlint.lower.options import Known

# A hyperparameter without a default is taken to be a positive number of ordinary size.
PARAMETER_DOMAIN = (0.01, 100.0)

# Products with a trained weight: their result can be any real number, so they are cut off.
_LINEAR = frozenset(
    {
        "matmul", "tensordot", "einsum", "conv1d", "conv2d", "conv3d", "linear",
        "depthwise_conv2d", "conv2d_transpose", "batch_dot", "dot",
    }
)  # fmt: skip

# Ops whose second operand must not be 0.
_DIVISIONS = (
    frozenset({"divide", "div", "floordiv", "truncatediv", "mod", "floormod", "np_divide"})
    & TABLE.keys()
)

_SHAPED = frozenset({InputRole.ACTIVATION, InputRole.PREDICTION, InputRole.LABEL})
# What a Keras model is fed with, beside its weights and what layers make of both.
_FED = frozenset({InputRole.DATA, InputRole.CUT, InputRole.VARIABLE, InputRole.PARAMETER})
_IMAGE_RANK = 4  # batch, height, width, channels

# Calls whose result is a plain number where nothing of the graph goes in: np.float32(d_model).
_NUMBERS = frozenset({"float", "int", "float16", "float32", "float64", "int32", "int64", "len"})

# What comes back from a session is data: no gradient leads through it.
_FETCHES = (".run", ".eval", ".numpy")

# Methods that run once for an object.
_CONSTRUCTORS = frozenset({"__init__", "build"})

# What describes a tensor's shape is a plain number, whatever the tensor holds.
_SIZES = frozenset({"static_shape", "static_rank"})


@dataclass(frozen=True, slots=True)
class Hooks:
    """The evaluators, which need one another and the machine."""

    evaluate: Callable[[Machine, Scope, cst.BaseExpression], Value]
    call: Callable[[Machine, Value, list[Value], dict[str, Value], cst.CSTNode], Value]
    run_function: Callable[[Machine, Scope, cst.FunctionDef | cst.Lambda], Value]


class Machine:
    """Lowers one unit along one path; `choices` says which way undecided branches go."""

    def __init__(
        self,
        module: Module,
        role: Role,
        hooks: Hooks,
        choices: tuple[bool, ...] = (),
        steps: int = MAX_STEPS,
    ) -> None:
        self.evaluate = hooks.evaluate
        self.call = hooks.call
        self.run_function = hooks.run_function
        self.module = module
        self.name = ""  # of the function, where the unit does not tell it
        # Of a function that is replaced later in the file: the file, and its line there.
        self.before: tuple[str, int] | None = None
        self.used: tuple[Site, ...] = ()  # where another file hands it on
        self.role = role
        self.nodes: list[Node] = []
        self.names: dict[int, str] = {}
        self.assumptions: list[tuple[int, bool]] = []
        self.bounds: list[Bound] = []  # limits of inputs that the program promises
        self.sinks: list[int] = []
        self.sink_sites: set[Span] = set()  # where they are minimised; a loop counts once
        self.slopes = Slopes()
        self.collections: dict[str, list[Value]] = {}  # of the graph, by their keys
        self.assumed_rank: int | None = None  # of inputs whose shape the source leaves open
        self.cut_texts: list[str] = []
        # What was cut off: the input that stands for it, and the nodes that feed it.
        self.cut_sources: list[tuple[int, tuple[int, ...]]] = []
        self.reading = False  # the layers of models are read
        self.building = False  # the outputs of functional models are looked at
        self.compiling = False  # the losses of compiled models are minimised, and nothing else
        self.linear: list[int] = []  # inputs that are outputs of linear layers
        self.cosines: list[int] = []  # inputs that are products of vectors of length 1
        self.gradients: list[int] = []  # inputs that are gradients
        # See tapes.py: tapes that record now, what is called meanwhile, which of these calls made
        # an input, and the networks by whose variables each sink is differentiated.
        self.taping = 0
        self.overriding = False  # gradients of the user's take the place of TensorFlow's
        self.called: list[Value] = []
        self.computed_by: dict[int, int] = {}
        self.trained_by: dict[int, tuple[Value, ...]] = {}
        self.held: dict[int, int] = {}  # variables that were assigned to, and what they hold
        # Objects at module level, by path and name: what they hold are values of this run.
        self.globals: dict[tuple[str, str], Value] = {}
        self.homes: set[str] = set()  # numeric libraries that are called with a tensor
        self.legacy = False  # a placeholder was made: this is TensorFlow 1
        self.path: list[Site] = []
        self.modules: list[Module] = [module]
        self._choices = choices
        # What this path has decided of each option, and the inputs that are options.
        self.options: list[Known] = []
        self.option_nodes: dict[int, int] = {}
        # Functions that are being run: those whose body is run again at each call of the unit.
        self.running: list[tuple[Module, cst.FunctionDef | cst.Lambda]] = []
        self.steps = steps  # that are left
        self.marks: list[Mark] | None = None  # what is evaluated, if anyone wants to know
        self.tracing: Tracing | None = None  # of rules that look at numbers of Python's
        self.taken: list[bool] = []
        self._names = Names()
        self._differentiable: set[int] = set()
        self._trained: set[int] = set()  # nodes that a VARIABLE input feeds
        self._plain: set[int] = set()  # nodes that only hyperparameters and sizes feed
        self._drawn: set[int] = set()  # nodes that rest on random numbers of NumPy's alone
        self._cuts: dict[tuple[str, Span | None, frozenset[int]], TensorValue] = {}

    def step(self) -> None:
        """Count one expression, statement or item of an operand.

        Raises:
            TooLarge: there have been too many.
        """
        self.steps -= 1
        if self.steps < 0:
            raise TooLarge

    def mark(self, node: cst.BaseExpression | cst.AugAssign, value: Value) -> None:
        """Note the value of an expression, if marks are kept."""
        if self.marks is None:
            return
        found = marked(value)
        if found is not None:
            self.marks.append(Mark(self.modules[-1], node, found[0]))

    def is_repeated(self, at: cst.CSTNode) -> bool:
        """Tell whether an expression is evaluated at each call: not in a constructor or default."""
        if not self.running or any(
            isinstance(node, cst.FunctionDef) and node.name.value in _CONSTRUCTORS
            for _, node in self.running
        ):
            return False
        module, function = self.running[-1]
        if module is not self.modules[-1]:
            return False
        body, span = module.site(function.body).span, module.site(at).span
        first, last = (body.line, body.column), (body.end_line, body.end_column)
        return first <= (span.line, span.column) and (span.end_line, span.end_column) <= last

    def is_drawn(self, nodes: frozenset[int]) -> bool:
        """Tell whether values rest on plain numbers and on random numbers of NumPy's alone."""
        return nodes <= self._plain | self._drawn

    # -- decisions ---------------------------------------------------------------------------

    def decide(self, condition: Value) -> bool:
        """Choose a way at a branch whose condition is not known; remember tensor conditions."""
        position = len(self.taken)
        choice = self._choices[position] if position < len(self._choices) else True
        self.taken.append(choice)
        if self.tracing is not None:
            self.tracing.fork(self, condition, position)
        # A plain number is a setting of the user's: both ways occur, whatever its value here. A
        # size is none: the shapes decide. Of a number drawn by Python's code both ways occur, too.
        if (
            isinstance(condition, TensorValue)
            and condition.node not in self._drawn
            and not self.is_setting(condition.node)
        ):
            self.assumptions.append((condition.node, choice))
        return choice

    # -- sites -------------------------------------------------------------------------------

    def site(self, node: cst.CSTNode) -> Site:
        """Return where a LibCST node of the module that is running stands."""
        return self.modules[-1].site(node)

    # -- nodes -------------------------------------------------------------------------------

    def emit(self, op: Op, args: Iterable[tuple[str, Arg]], at: cst.CSTNode) -> TensorValue:
        """Append the value of an op.

        Raises:
            TooLarge: the graph has more nodes than MAX_NODES.
        """
        bound = tuple(args)
        if op.key in _DIVISIONS:
            bound = tuple(self._divisor(op, name, value, at) for name, value in bound)
        bound = tuple((name, self._ended(op, value, at)) for name, value in bound)
        operands = {ref for _, value in bound for ref in refs(value)}
        if op.key in _LINEAR and operands & self._trained:
            limits = products.limits(self.nodes, op.key, bound)
            value = self.cut_input(
                self.site(at), frozenset(operands), called=True, real=True, pure=True, limits=limits
            )
            (self.linear if limits is None else self.cosines).append(value.node)
            return value
        if self.overriding and op.gradient in WITHOUT and op.gradients is None:
            return self.cut_input(self.site(at), frozenset(operands), called=True, real=False)
        value = self._append(Node(len(self.nodes), op.key, bound, self.site(at), tuple(self.path)))
        if operands & self._differentiable and op.key not in SHAPE_ONLY:
            self._differentiable.add(value.node)
        if operands & self._trained:
            self._trained.add(value.node)
        self.slopes.follow(operands, value.node)
        if self.tracing is not None:
            self.tracing.follow(operands, value.node)
        if op.key in _SIZES or (operands and operands <= self._plain):
            self._plain.add(value.node)
        elif is_outside(op) or (operands and operands <= self._plain | self._drawn):
            self._drawn.add(value.node)
        return value

    def _ended(self, op: Op, value: Arg, at: cst.CSTNode) -> Arg:
        """Stop the gradient of an operand that is itself one, where that is meant."""
        if isinstance(value, Ref) and self.slopes.end(op, value.node):
            return Ref(self.emit_key("stop_gradient", (TensorValue(value.node),), at).node)
        return value

    def _divisor(self, op: Op, name: str, value: Arg, at: cst.CSTNode) -> tuple[str, Arg]:
        """Give a divisor that is plainly 0 a node, which findings can name."""
        if name != "y" or isinstance(value, bool) or value != 0 or not is_number(value):
            return name, value
        site = self.site(written(op, name, at))
        zero = Node(len(self.nodes), "constant", (("value", 0.0),), site, tuple(self.path))
        return name, Ref(self._append(zero).node)

    def emit_key(self, key: str, operands: tuple[Value, ...], at: cst.CSTNode) -> TensorValue:
        """Append an op by its key, binding operands to its first parameters in order."""
        op = row(key)
        return self.emit(
            op,
            [(name, self.arg(value, at)) for name, value in zip(op.params, operands, strict=False)],
            at,
        )

    def component(self, base: TensorValue, which: Arg, at: cst.CSTNode) -> TensorValue | None:
        """Return one result of an op with several, by its index or field name, or None."""
        node = self.nodes[base.node]
        if node.op not in TABLE:
            return None
        op = row(node.op)
        if isinstance(which, str) and which in op.fields:
            which = op.fields.index(which)
        count = len(op.results)
        if isinstance(which, bool) or not isinstance(which, int) or not -count <= which < count:
            return None
        return self.emit(row(op.results[which]), node.args, at)

    def rank(self, node: int, at: cst.CSTNode) -> Value:
        """Return the number of axes of a node.

        Code that asks for it means to work for several; where nothing says which, the inputs are
        taken to be images, the case with the most axes.
        """
        source = self.nodes[node]
        while source.input is None:
            op = TABLE.get(source.op)
            if op is None or op.kind is not Kind.ELEMENTWISE or not source.operands:
                return self.emit_key("static_rank", (TensorValue(node),), at)
            source = self.nodes[source.operands[0]]
        if source.input.shape is not None:
            return Static(len(source.input.shape))
        if source.input.role not in _SHAPED:
            return self.emit_key("static_rank", (TensorValue(node),), at)
        self.assumed_rank = _IMAGE_RANK
        return Static(_IMAGE_RANK)

    def input(
        self,
        name: str,
        role: InputRole,
        site: Site,
        *,
        differentiated: bool,
        domain: tuple[float, float] = (-EXTENDED_LIMIT, EXTENDED_LIMIT),
        shape: tuple[int | None, ...] | None = None,
        integer: bool = False,
        unknown: bool = False,
        least: float = 0.0,
        per_class: bool = False,
    ) -> TensorValue:
        """Append a free input; its name is made a unique identifier."""
        unique = self._names.unique(name)
        record = Input(
            unique, role, differentiated, domain[0], domain[1], shape, integer,
            unknown=unknown, least=least, per_class=per_class,
        )  # fmt: skip
        value = self._append(
            Node(len(self.nodes), "", (), site, tuple(self.path), input=record, name=unique)
        )
        if differentiated:
            self._differentiable.add(value.node)
        if role is InputRole.VARIABLE:
            self._trained.add(value.node)
        if role is InputRole.PARAMETER:
            self._plain.add(value.node)
        return value

    def cut_input(
        self,
        site: Site,
        depends: frozenset[int],
        *,
        called: bool,
        real: bool,
        part: str = "",
        pure: bool = False,
        limits: tuple[float, float] | None = None,
    ) -> TensorValue:
        """Make a free input of something that cannot be run; the same thing is cut once.

        Args:
            site: where it stands.
            depends: the nodes it was computed from.
            called: a call computed it, rather than an attribute or subscript.
            real: a layer or linear op computed it, so that any real number can come out.
            part: which of several results it is, by the name that it is bound to.
            pure: the same call elsewhere gives the same value.
            limits: the values that it can take, if they are known.
        """
        key = (site.text + part, site.span if called and not pure else None, depends)
        if key in self._cuts:
            return self._cuts[key]
        steps = self.building or self.role in {Role.TRAINING_STEP, Role.GRAPH}
        head = site.text.partition("(")[0].rpartition(".")[2].strip()
        fetched = called and site.text.partition("(")[0].endswith(_FETCHES)
        differentiated = bool(depends & self._differentiable) and not fetched
        domain = (-EXTENDED_LIMIT, EXTENDED_LIMIT)
        if depends and not depends <= self._plain | self._drawn:
            role = InputRole.CUT
            steps = steps or (real and self._is_of_the_model(depends))
            differentiated = differentiated or (steps and called and not fetched)
            self.cut_texts.append(site.text)
        elif real and called and not depends:
            role = InputRole.CUT
            differentiated = True  # a layer has weights of its own
        elif steps and not depends and called and head not in _NUMBERS:
            role = InputRole.DATA
        else:
            role = InputRole.PARAMETER
            domain = PARAMETER_DOMAIN
        # `y_true, y_pred = squeeze(y_true, y_pred)`: a label that is bound again stays a label.
        inputs = (self.nodes[n].input for n in depends)
        if any(r is not None and r.name == part and r.role is InputRole.LABEL for r in inputs):
            role, differentiated, real = InputRole.LABEL, False, True
        if role is InputRole.CUT and is_count(site.text):
            differentiated, limits = False, (1.0, EXTENDED_LIMIT)
        value = self.input(
            part or callee_name(site.text),
            role,
            site,
            differentiated=differentiated,
            domain=limits or domain,
            unknown=role is InputRole.CUT and not real and not steps,
        )
        if role is InputRole.CUT and depends:
            self.cut_sources.append((value.node, tuple(sorted(depends))))
        self._cuts[key] = value
        self.slopes.note(site, value.node)
        return value

    def _is_of_the_model(self, depends: frozenset[int]) -> bool:
        """Tell whether a loss sees the output of a layer around it: no target goes into it."""
        if self.role is not Role.LOSS:
            return False
        pending, seen = list(depends), set(depends)
        while pending:
            node = self.nodes[pending.pop()]
            if node.input is not None and node.input.role not in _FED:
                return False
            pending += [n for n in node.operands if n not in seen]
            seen.update(node.operands)
        return True

    def _append(self, node: Node) -> TensorValue:
        if len(self.nodes) >= MAX_NODES:
            raise TooLarge
        self.nodes.append(node)
        return TensorValue(node.id)

    def _zero(self, site: Site, quotient: float) -> TensorValue:
        """Append the 0 that an integer division gave, with what a true one would give."""
        given = (("quotient", quotient),)
        return self._append(Node(len(self.nodes), "", given, site, tuple(self.path), value=0))

    def is_plain(self, node: int) -> bool:
        """Tell whether a node is a plain number: only hyperparameters and sizes feed it."""
        return node in self._plain

    def is_setting(self, node: int) -> bool:
        """Tell whether a node is a plain number that hyperparameters, not sizes alone, decide."""
        if node not in self._plain:
            return False
        record = self.nodes[node].input
        return record is not None or any(
            self.is_setting(operand) for operand in self.nodes[node].operands
        )

    # -- operands ----------------------------------------------------------------------------

    def arg(self, value: Value, at: cst.CSTNode) -> Arg:
        """Turn a value into an operand, cutting off what cannot be run.

        Raises:
            Unlowerable: a function, class or bytes is no operand.
            TooLarge: lists within lists have more items than there are steps.
        """
        self.step()
        if isinstance(value, TensorValue):
            return Ref(self.held.get(value.node, value.node))
        if isinstance(value, Static):
            if isinstance(value.value, (complex, bytes)):
                raise Unlowerable("complex or bytes operand")
            if value.lost is not None:
                return Ref(self._zero(*value.lost).node)
            return value.value
        if isinstance(value, Sequence):
            return Items(tuple(self.arg(item, at) for item in value.items))
        if isinstance(value, StaticShape):
            return Ref(self.emit_key("static_shape", (TensorValue(value.node),), at).node)
        if isinstance(value, (Opaque, Method, Built)):
            return Ref(self.cut(value, at).node)
        raise Unlowerable(f"{type(value).__name__} operand")

    def cut(self, value: Value, at: cst.CSTNode) -> TensorValue:
        """Return a free input that stands for an opaque value."""
        site, real, part = self.site(at), False, ""
        if isinstance(value, Opaque):
            site = value.origin or Site(site.path, site.span, value.text or site.text)
            real, part = value.real, value.part
        elif isinstance(value, Method):
            part = value.name  # the call that takes an attribute does not compute it
        called = site.text.endswith(")") and not isinstance(value, Method)
        made = self.cut_input(site, dependencies(value), called=called, real=real, part=part)
        if isinstance(value, Opaque) and value.linear:
            self.linear.append(made.node)
        if isinstance(value, Opaque) and value.gradient:
            self.gradients.append(made.node)
        if isinstance(value, Opaque) and value.network is not None:
            self.computed_by.setdefault(made.node, value.network)
        return made

    def name_value(self, value: Value, name: str) -> None:
        """Remember the variable that a value is bound to, for messages and repros."""
        if isinstance(value, TensorValue) and name.isidentifier():
            self.names.setdefault(value.node, name)


def is_outside(op: Op) -> bool:
    """Tell whether an op draws at random outside of TensorFlow."""
    return op.draws and op.call.startswith("np.")
