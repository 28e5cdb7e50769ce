"""Which axes an op runs along: over the batch, or within each sample."""

from __future__ import annotations

from typing import Final

from actlint.query import Graph, InputRole, Items, Kind, Node, Ref, View

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
_QUOTIENTS: Final = frozenset({"div", "divide"})
# The least divisor of a sum over samples that is taken for their number.
_LEAST_BATCH: Final = 8
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
    """Return the quotient of a sum of one value for each sample and a constant, and the latter.

    None if there is no such quotient; a constant below 8, or one that is no integer, is a weight.
    """
    summed = view.operands(node)[:1]
    per_sample = axes(view, node) == () and any(_is_per_sample(view, each) for each in summed)
    if not (per_sample or over_batch(view, node)):
        return None
    for user in view.users(node):
        if user.op in _QUOTIENTS and user.operands[:1] == (node.id,):
            value = user.arg("y")
            if isinstance(value, Ref):
                known = view.interval(value.node)
                value = known.lo if known.lo == known.hi else None
            if isinstance(value, (int, float)) and value >= _LEAST_BATCH and value % 1 == 0:
                return user, float(value)
    return None


def _is_per_sample(view: View, node: Node) -> bool:
    """Return whether a value surely has one element for each sample."""
    return any(
        found.op in _PER_SAMPLE
        or (
            found.op in REDUCTIONS
            and axes(view, found) == (-1,)
            and found.arg("keepdims") in {None, False}
        )
        for found in elementwise(view, node)
    )


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
