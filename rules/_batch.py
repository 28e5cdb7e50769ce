"""Which axes an op runs along: over the batch, or within each sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from actlint.query import Graph, InputRole, Items, Kind, Node, Ref, Role, Slice, View

from ._common import ancestors, descendants, is_constant

# Ops that normalise along an axis, with the value that the axis has if it is not given.
SOFTMAX: Final = {"softmax": -1, "log_softmax": -1}
LENGTH: Final = {"keras_normalize": -1, "l2_normalize": None, "normalize_values": None}
CUMULATIVE: Final = {"cumsum": 0, "cumprod": 0, "keras_cumsum": None, "keras_cumprod": None}
REDUCTIONS: Final = frozenset(
    {
        "keras_norm",
        "norm",
        "reduce_euclidean_norm",
        "reduce_logsumexp",
        "reduce_max",
        "reduce_mean",
        "reduce_min",
        "reduce_prod",
        "reduce_std",
        "reduce_sum",
        "reduce_variance",
    }
)
# Reductions that are no loss if nothing is left of their operand's axes.
_EXTREMES: Final = frozenset({"reduce_max", "reduce_min"})
# Divisions, sums and norms, and what is taken of a value before its sum.
QUOTIENTS: Final = frozenset({"div", "divide", "divide_no_nan"})
SIZES: Final = frozenset({"keras_norm", "norm", "reduce_euclidean_norm", "reduce_sum"})
MAGNITUDES: Final = frozenset({"abs", "exp", "square"})
# Losses of the library that give one value for each sample.
_PER_SAMPLE: Final = frozenset(
    {
        "backend_binary_crossentropy",
        "backend_categorical_crossentropy",
        "backend_sparse_categorical_crossentropy",
        "binary_crossentropy",
        "categorical_crossentropy",
        "kl_divergence",
        "softmax_cross_entropy_with_logits",
        "sparse_categorical_crossentropy",
        "sparse_softmax_cross_entropy_with_logits",
    }
)
# Ops that hand a number on to the loss in proportion, what else they combine being constant.
_LINEAR: Final = frozenset(
    {
        "add",
        "add_n",
        "cast",
        "convert_to_tensor",
        "expand_dims",
        "identity",
        "negative",
        "reduce_mean",
        "reduce_sum",
        "reshape",
        "squeeze",
        "subtract",
    }
)
_SCALING: Final = frozenset({"div", "divide", "multiply"})
_TERMS: Final = frozenset({"add", "add_n", "subtract"})
# A number that a similarity is subtracted from is not an epsilon.
_OFFSET: Final = 0.5
_QUOTIENTS: Final = frozenset({"div", "divide"})
_TURNED: Final = frozenset({"negative", "reduce_sum"})
# The least divisor of a sum over samples that is taken for their number.
_LEAST_BATCH: Final = 8
# Ops of these kinds leave what is made of a sample apart from all others.
_OWN_ROW: Final = frozenset({Kind.ELEMENTWISE, Kind.STRUCTURAL})
# Structural ops that leave every sample in its row.
_IN_PLACE: Final = frozenset(
    {"convert_to_tensor", "identity", "stop_gradient", "cast", "ensure_shape"}
)


def axes(view: View, node: Node) -> tuple[int, ...] | None:
    """Return the axes that an op runs along; () for all of them, None if the source is silent."""
    if node.arg("axis") is None:
        default = {**SOFTMAX, **LENGTH, **CUMULATIVE}.get(node.op)
        return () if default is None else (default,)
    given = view.static(node, "axis")
    items = given.items if isinstance(given, Items) else (given,)
    found = tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool))
    return found if found and len(found) == len(items) else None


def over_batch(view: View, node: Node) -> bool:
    """Return whether an op runs along the first axis, perhaps among others, but not along all."""
    return 0 in (axes(view, node) or ())


def within_samples(view: View, node: Node) -> bool:
    """Return whether an op runs along other axes than the first."""
    found = axes(view, node)
    return bool(found) and 0 not in (found or ())


def elementwise(view: View, node: Node) -> tuple[Node, ...]:
    """Return what `node` is computed from element by element, itself first.

    The way ends at ops that move elements or mix them.
    """
    order: dict[int, Node] = {}
    waiting = [node]
    while waiting:
        current = waiting.pop(0)
        if current.id in order:
            continue
        order[current.id] = current
        if current.op in _IN_PLACE or (current.op and view.op(current).kind is Kind.ELEMENTWISE):
            waiting.extend(view.operands(current))
    return tuple(order.values())


def fixed_divisor(view: View, node: Node) -> tuple[Node, float] | None:
    """Return the quotient of a sum over the samples and a constant, and the latter.

    None if there is no such quotient; a constant below 8, or one that is no integer, is a weight.
    """
    if not (is_sum_of_samples(view, node) or _is_sum_of_errors(view, node)):
        return None
    users = view.users(node)
    turned = [user for each in users if each.op == "negative" for user in view.users(each)]
    for user in (*users, *turned):
        divided = view.operand(user, "x")
        if user.op in _QUOTIENTS and divided is not None and divided.op in _TURNED:
            value = user.arg("y")
            if isinstance(value, Ref):
                known = view.interval(value.node)
                value = known.lo if known.lo == known.hi else None
            if isinstance(value, (int, float)) and value >= _LEAST_BATCH and value % 1 == 0:
                return user, float(value)
    return None


def is_sum_of_samples(view: View, node: Node) -> bool:
    """Return whether a sum runs over the batch alone, or over all of one value for each sample."""
    summed = view.operands(node)[:1]
    per_sample = axes(view, node) == () and any(_is_per_sample(view, each) for each in summed)
    return per_sample or over_batch(view, node)


def _is_sum_of_errors(view: View, node: Node) -> bool:
    """Return whether a sum over everything is one of labels and predictions, each in its row."""
    if axes(view, node) != () or not has_target(view):
        return False
    parts = ancestors(view, node.id)[1:]
    roles = {part.input.role for part in parts if part.input is not None}
    return {InputRole.LABEL, InputRole.PREDICTION} <= roles and all(
        view.op(part).kind in _OWN_ROW
        or (part.op in {*REDUCTIONS, *SOFTMAX, *LENGTH} and within_samples(view, part))
        for part in parts
        if part.op
    )


def _is_per_sample(view: View, node: Node) -> bool:
    """Return whether a value surely has one element for each sample."""
    return any(
        found.op in _PER_SAMPLE
        or (found.op == "gather" and view.static(found, "batch_dims") == 1)
        or (found.op in REDUCTIONS and leaves_samples(view, found))
        for found in elementwise(view, node)
    )


def leaves_samples(view: View, node: Node) -> bool:
    """Return whether a reduction runs over all features of each sample."""
    found = axes(view, node)
    if found in {(-1,), (1,)}:
        return node.arg("keepdims") in {None, False}
    return bool(found) and sorted(found or ()) == list(range(1, len(found or ()) + 1))


def dividend(view: View, where: Node, node: Node) -> Node | None:
    """Return what is divided at `where` by something computed from `node` by element, or None."""
    value, other = view.operand(where, "x"), view.operand(where, "y")
    if where.op == "multiply" and value is not None and node in elementwise(view, value):
        value, other = other, value
    if value is None or other is None:
        return None
    parts = elementwise(view, other)
    # Only a root of a reciprocal makes a product a division.
    divides = where.op in QUOTIENTS or (
        where.op == "multiply" and any(part.op in {"reciprocal", "rsqrt"} for part in parts)
    )
    return value if divides and node in parts else None


def sources(view: View, node: Node) -> frozenset[int]:
    """Return the inputs, hyperparameters aside, that a value is computed from by element."""
    return frozenset(
        found.id
        for found in elementwise(view, node)
        if found.input is not None
        and found.input.role in {InputRole.ACTIVATION, InputRole.LABEL, InputRole.PREDICTION}
    )


def rows_are_samples(view: View) -> bool:
    """Return whether the first axis of the inputs surely is the batch, and not the only one.

    Keras says so by calling the function; else ops along other axes do.
    """
    graph = view.graph
    return (
        graph.keras
        or called_by_keras(graph)
        or any(
            node.op in _PER_SAMPLE
            or (node.op == "gather" and view.static(node, "batch_dims") == 1)
            or (
                (node.op in REDUCTIONS or node.op in SOFTMAX or node.op in LENGTH)
                and within_samples(view, node)
            )
            for node in view.nodes()
            if view.depends(node)
        )
    )


def called_by_keras(graph: Graph) -> bool:
    """Return whether use or a base class, not a name, says that Keras calls the function."""
    return "passed on as" in graph.evidence or graph.evidence.endswith("subclass")


def is_keras_loss(graph: Graph) -> bool:
    """Return whether Keras takes the mean of what the function returns."""
    return graph.role is Role.LOSS and (graph.keras or graph.evidence.endswith("loss subclass"))


def all_or_batch(view: View, node: Node) -> bool:
    """Return whether a reduction runs over the batch, perhaps among other axes."""
    return over_batch(view, node) or axes(view, node) == ()


def is_linear(view: View, node: Node) -> bool:
    """Return whether a number is handed on to the output in proportion, by every way."""
    return all(
        later.op in _LINEAR or (later.op in _SCALING and _scales(view, later))
        for later in descendants(view, node.id)
        if view.reaches_output(later)
    )


def losing(view: View) -> Iterator[Node]:
    """Yield reductions over the batch alone that what a layer returns is computed from.

    Those that what they reduce meets again, as in batch normalisation, are none, nor are those that
    the result is stacked from along an axis of its own.
    """
    graph = view.graph
    if graph.role is not Role.LAYER or graph.partial or not graph.evidence.endswith("subclass"):
        return
    for node in view.nodes(*REDUCTIONS):
        everything = axes(view, node) == () and node.op in _EXTREMES
        if (
            (everything or axes(view, node) == (0,))
            and view.static(node, "keepdims") is not True
            and view.on_gradient_path(node)
            and all(_keeps_rows(view, found) for found in ancestors(view, node.id)[1:])
            and all(
                not view.depends(other) or other.id == node.id or _after(view, node, other)
                for later in descendants(view, node.id)
                for other in view.operands(later)
            )
        ):
            yield node


def of_own_rows(view: View, node: Node) -> bool:
    """Return whether each row of a value is made of that row of what a layer is given alone."""
    found = [part for part in ancestors(view, node.id) if view.depends(part)]
    return all(
        _keeps_rows(view, part)
        and (part.input is None or part.input.role is InputRole.ACTIVATION)
        and (part.op != "getitem" or _takes_all_rows(part))
        for part in found
    )


def _takes_all_rows(node: Node) -> bool:
    """Return whether a subscript begins with ``:``."""
    index = node.arg("index")
    first = index.items[0] if isinstance(index, Items) and index.items else index
    return first == Slice(None, None, None)


def _keeps_rows(view: View, node: Node) -> bool:
    """Return whether what a layer is given stays in its row: not in lists, nor along new axes."""
    if not view.depends(node) or not node.op:
        return node.input is None or node.input.role in {
            InputRole.ACTIVATION,
            InputRole.VARIABLE,
            InputRole.PARAMETER,
        }
    return node.op in _IN_PLACE | {"getitem"} or view.op(node).kind is Kind.ELEMENTWISE


def _after(view: View, node: Node, other: Node) -> bool:
    return other in descendants(view, node.id)


def has_target(view: View) -> bool:
    """Return whether a loss compares one prediction for each sample with a label for each."""
    roles = {node.input.role for node in view.graph.inputs if node.input is not None}
    return view.graph.role is Role.LOSS and {InputRole.LABEL, InputRole.PREDICTION} <= roles


def beside_mean(view: View, node: Node) -> bool:
    """Return whether a sum over the batch is a term beside a mean over it, or beside a number.

    A number as in ``1.0 - tf.reduce_sum(similarity)``: the most that the mean could be.
    """
    moved = {node.id, *(later.id for later in descendants(view, node.id))}
    for later in descendants(view, node.id):
        if later.op not in _TERMS or not view.reaches_output(later):
            continue
        others = [other for other in view.operands(later) if other.id not in moved]
        if any(_is_mean(view, other) for other in others):
            return True
        if later.op == "subtract" and has_target(view) and _bounds(view, later, node):
            return True
    return False


def adds_features(view: View, node: Node) -> bool:
    """Return whether a sum over everything adds up what a network makes of the samples.

    Not so of weights and of rows of them, nor if the sum is divided by a number, which may be that
    of the samples.
    """
    moved = {node.id, *(later.id for later in descendants(view, node.id))}
    divided = any(
        later.op in _SCALING - {"multiply"} and view.reaches_output(later)
        for later in descendants(view, node.id)
        if any(operand.id in moved for operand in view.operands(later)[:1])
    )
    parts = ancestors(view, node.id)[1:]
    return (
        not divided
        and any(_is_feature(part) and part.id not in view.graph.gradients for part in parts)
        and not any(part.op in REDUCTIONS and all_or_batch(view, part) for part in parts)
    )


def _is_feature(node: Node) -> bool:
    """Return whether a value is the output of a layer, as far as the source tells."""
    found = node.input
    learnt = found is not None and found.role is InputRole.CUT and found.differentiated
    return found is not None and learnt and not found.unknown


def is_whole_loss(view: View, node: Node) -> bool:
    """Return whether a loss is nothing but a sum of one value for each sample, or several such.

    Not so if something is left to say how large it is: settings without a default, or whoever calls
    the function.
    """
    graph = view.graph
    compared = [
        found
        for found in ancestors(view, node.id)
        if found.input is not None and found.input.role in {InputRole.LABEL, InputRole.PREDICTION}
    ]
    if graph.role is not Role.LOSS or graph.chosen or graph.called or len(compared) < 2:
        return False
    moved = {node.id, *(later.id for later in descendants(view, node.id))}
    return _adds_samples(view, node) and all(
        is_constant(view, other.id)
        or (_is_parameter(other) and other.input is not None and other.input.default is not None)
        or (later.op in _TERMS and _adds_samples(view, other))
        for later in descendants(view, node.id)
        if view.reaches_output(later)
        for other in view.operands(later)
        if other.id not in moved
    )


def _adds_samples(view: View, node: Node) -> bool:
    return node.op == "reduce_sum" and axes(view, node) == () and is_sum_of_samples(view, node)


def mean_of_sums(view: View, node: Node) -> bool:
    """Return whether a sum over the batch, of each feature, is averaged over the features."""
    return (
        over_batch(view, node)
        and 0 in (axes(view, node) or ())
        and any(
            later.op == "reduce_mean" and view.reaches_output(later)
            for later in descendants(view, node.id)
        )
        # A factor such as tf.eye picks one value for each sample out of a matrix of pairs.
        and not any(
            found.op in _PER_SAMPLE | {"eye"} for found in elementwise(view, view.operands(node)[0])
        )
    )


def _bounds(view: View, node: Node, total: Node) -> bool:
    """Return whether a number less a sum of products is taken, and not of squares."""
    given = node.arg("x")
    operand = view.operand(node, "x")
    if operand is not None and is_constant(view, operand.id):
        given = view.interval(operand).lo
    if not isinstance(given, (int, float)) or given < _OFFSET:
        return False
    return view.interval(view.operands(total)[0]).lo < 0.0 or given == 1.0


def _is_mean(view: View, node: Node) -> bool:
    """Return whether a term is in proportion to a mean over the batch of what is trained."""
    current: Node | None = node
    while current is not None:
        if current.op == "reduce_mean" and all_or_batch(view, current):
            return view.depends(current) and bool(view.operands(current))
        if current.op in _TERMS:
            return any(_is_mean(view, operand) for operand in view.operands(current))
        if current.op in _LINEAR or (current.op in _SCALING and _scales(view, current)):
            free = [each for each in view.operands(current) if view.depends(each)]
            current = free[0] if len(free) == 1 else None
        else:
            return False
    return False


def _scales(view: View, node: Node) -> bool:
    """Return whether all but one operand of a product or quotient are plain numbers."""
    varying = [
        operand
        for operand in view.operands(node)
        if not (is_constant(view, operand.id) or _is_parameter(operand) or _is_number(operand))
    ]
    return len(varying) == 1 and (node.op == "multiply" or view.operand(node, "x") == varying[0])


def _is_parameter(node: Node) -> bool:
    return node.input is not None and node.input.role == "parameter"


def _is_number(node: Node) -> bool:
    """Return whether a value is fed as a single number, as the weight of a term is."""
    return node.input is not None and not node.input.differentiated and node.input.shape == ()
