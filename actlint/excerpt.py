"""Excerpts: the slice of a graph that the worker runs, and the program that a person can paste.

Both come from the same graph, so what the repro shows is what the worker saw.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from actlint.findings import Check, Evidence, Hazard, Number, Outcome, Suspect, Tensor
from actlint.graph import EXTENDED_LIMIT, Arg, DType, Graph, Input, InputRole, Items, Node, Ref
from actlint.interval import TINY
from actlint.ops import table
from actlint.rendering import Function, literal, render
from actlint.worker.protocol import Instruction, Job

# `x.dtype`, and a layer's `compute_dtype`; its `dtype` is that of its variables, float32.
_FOLLOWING = re.compile(r"(?<!self)\.dtype\b|\bcompute_dtype\b")


def job(
    graph: Graph,
    suspects: Sequence[Suspect],
    *,
    id: int,  # noqa: A002  # the field of Job that it becomes
    seed: int,
    samples: int,
) -> Job | None:
    """Return what the worker needs to judge `suspects`, or None if the graph has no free input.

    Args:
        graph: where the suspects are; node ids stay as they are.
        suspects: what to judge, in the order of the answer.
        id: number of the job.
        seed: seed of the sampling.
        samples: sample points for each suspect.
    """
    ends = {graph.output, *(node for node, _ in graph.assumptions)}
    for suspect in suspects:
        ends |= {suspect.node, *(target.node for target in suspect.targets)}
    nodes = _slice(graph, ends)
    if not any(node.input is not None for node in nodes):
        return None
    return Job(
        id=id,
        name=graph.name,
        role=graph.role,
        instructions=tuple(
            Instruction(node.id, node.op, node.args, node.input, node.value) for node in nodes
        ),
        output=graph.output,
        assumptions=graph.assumptions,
        suspects=tuple(suspects),
        seed=seed,
        samples=samples,
        dtype=graph.dtype,
        follows=_follows(graph, nodes),
    )


def _follows(graph: Graph, nodes: Iterable[Node]) -> tuple[int, ...]:
    """Return the nodes that take a tensor's dtype, which is not always float32."""
    if graph.dtype == "float32":
        return ()
    return tuple(
        node.id
        for node in nodes
        if any(isinstance(arg, DType) for _, arg in node.args) and _FOLLOWING.search(node.site.text)
    )


def _slice(graph: Graph, ends: Iterable[int]) -> list[Node]:
    """Return the nodes that `ends` are computed from; what cannot be run becomes a free input."""
    needed = set(ends)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.id in needed:
            node = node if _runs(node) else _cut(node)  # noqa: PLW2901  # the same value
            kept.append(node)
            needed.update(node.operands)
    return kept[::-1]


def _runs(node: Node) -> bool:
    return not node.op or (node.op in table.TABLE and table.row(node.op).runs)


def _cut(node: Node) -> Node:
    """Return an input in place of a call of the user's; its op stays on record."""
    unknown = Input(f"value_{node.id}", InputRole.CUT, False, -EXTENDED_LIMIT, EXTENDED_LIMIT)
    return replace(node, args=(), input=unknown)


# ---- the program to paste --------------------------------------------------------------------

# Checks of what an expression does by itself, whatever is made of it later.
_LOCAL = frozenset(
    {
        Check.BROADCAST,
        Check.SINGLE_VALUE,
        Check.DEAD_SHARE,
        Check.EXCHANGED,
        Check.SQUEEZED,
        Check.STRAIGHT_THROUGH,
        Check.STUCK,
        Check.UNIFORM,
    }
)
# Half the distance between the points left and right of a turning point.
_BESIDE = 0.01


def repro(graph: Graph, suspect: Suspect, outcome: Outcome, function_name: str) -> str:
    """Return a complete program that shows a confirmed hazard with TensorFlow alone.

    Its last line prints what is wrong, such as ``gradient: [nan]``; lists hold one entry for each
    differentiated input. It is empty if there is no evidence to show.

    Args:
        graph: where the suspect is.
        suspect: what was confirmed.
        outcome: with the witness.
        function_name: qualified name that the user knows the function by.
    """
    evidence = outcome.evidence
    if evidence is None:
        return ""
    if suspect.check is Check.CUSTOM_GRADIENT:
        return _custom_gradient(graph, suspect.node, evidence, function_name)
    partial = evidence.detail.get("partial") is not None
    local = suspect.check in _LOCAL or (suspect.check is Check.CUT and partial)
    end = suspect.node if local else graph.output
    # An input that nothing depends on is part of the proof that it gets no gradient.
    wanted = {node.id for node in graph.inputs if _differentiated_by(node.input)}
    nodes = _slice(graph, {end} if local else {end, *wanted})
    if suspect.check is Check.HALF:
        nodes = _retyped(graph, nodes)
    function = render(nodes, end, function_name)
    text = function.text
    if suspect.check is Check.STRAIGHT_THROUGH:
        step = render(_slice(graph, {suspect.targets[0].node}), suspect.targets[0].node, "step")
        text += f"\n\n\n{step.text}"
        body = _body(function, suspect.check, evidence)
        body.append(f'print("value of the step:", {_call(step)}.numpy().tolist())')
    elif suspect.check is Check.FLOOR:
        other = render(_bypassed(nodes, suspect.targets[0].node), end, f"{function.name}_of_logits")
        text += f"\n\n\n{other.text}"
        body = _compared(function, other, evidence)
    else:
        body = _body(function, suspect.check, evidence)
    imports = "import tensorflow as tf\n"
    text += "\n\n\n" + "\n".join(body)
    if "np." in text:
        imports = "import numpy as np\n" + imports
    return f"{imports}\n\n{text}\n"


def _retyped(graph: Graph, nodes: Sequence[Node]) -> list[Node]:
    """Return nodes in which what takes a tensor's dtype takes the graph's."""
    follows = frozenset(_follows(graph, nodes))
    own = DType(graph.dtype)
    return [
        replace(
            node,
            args=tuple((key, own if isinstance(arg, DType) else arg) for key, arg in node.args),
        )
        if node.id in follows
        else node
        for node in nodes
    ]


def _custom_gradient(graph: Graph, node: int, evidence: Evidence, name: str) -> str:
    """Return a program that compares a custom gradient with a finite difference."""
    claim = graph.nodes[node]
    value, upstream, gradients = (claim.arg(key) for key in ("input", "upstream", "gradients"))
    assert isinstance(value, Ref)
    assert isinstance(upstream, Ref)
    assert isinstance(gradients, Items)
    position, element = (evidence.detail.get(key) for key in ("argument", "element"))
    if not isinstance(position, float) or not isinstance(element, float):
        return _miscounted(claim, len(gradients.items))
    spec = Input("upstream", InputRole.PARAMETER, False, -EXTENDED_LIMIT, EXTENDED_LIMIT)
    free = replace(graph.nodes[upstream.node], op="", args=(), input=spec)
    nodes = tuple(free if each.id == free.id else each for each in graph.nodes)
    forward = render(_slice(graph, {value.node}), value.node, name)
    source = _listed(claim, "x")[int(position)]
    moved = next(key for key, _ in forward.inputs if key == _name(graph, source))
    gradient = gradients.items[int(position)]
    parts = [forward.text]
    claimed = "None"
    if isinstance(gradient, Ref):
        opened = replace(graph, nodes=nodes)
        slope = f"{forward.name}_gradient"
        backward = render(_slice(opened, {gradient.node}), gradient.node, slope)
        parts.append(backward.text)
        claimed = f"{backward.name}({', '.join(key for key, _ in backward.inputs)})"
    elif gradient is not None:
        claimed = f"tf.constant({literal(float(str(gradient)))})"
    at = evidence.witness.get(moved)
    step, picked = _step(at, int(element))
    shown = "None" if claimed == "None" else f"gradient{picked}.numpy().tolist()"
    lines = [f"{key} = {_tensor(given, _feed(given, evidence))}" for key, given in forward.inputs]
    there, before = (_call(forward, moved, f"{moved} {sign} step") for sign in "+-")
    lines += [
        f"step = tf.constant({step})",
        f"upstream = {_upstream(_call(forward), evidence)}",
        f"difference = tf.reduce_sum(upstream * ({there} - {before}))",
        f"gradient = {claimed}",
        "# the gradient of the function's author, and that of the value: expect two numbers",
        f'print("gradient given:", {shown})',
        'print("gradient measured:", round(float(difference / 0.02), 4))',
    ]
    return "import tensorflow as tf\n\n\n" + "\n\n\n".join([*parts, "\n".join(lines)]) + "\n"


def _listed(claim: Node, key: str) -> tuple[Arg, ...]:
    found = claim.arg(key)
    return found.items if isinstance(found, Items) else ()


def _name(graph: Graph, source: Arg) -> str:
    record = graph.nodes[source.node].input if isinstance(source, Ref) else None
    return "" if record is None else record.name


def _upstream(value: str, evidence: Evidence) -> str:
    """Return the cotangent of a value: one number everywhere, or 1, 2, 3 and so on."""
    numbers = evidence.detail.get("upstream")
    if not isinstance(numbers, list) or len(numbers) == 1:
        ones = f"tf.ones_like({value})"
        return ones if numbers == [1.0] or not isinstance(numbers, list) else f"2.0 * {ones}"
    return f"tf.reshape(tf.constant({literal([*numbers])}), tf.shape({value}))"


def _step(at: Tensor | None, element: int) -> tuple[str, str]:
    """Return a small step along one element of `at`, and that element's index."""
    import numpy as np  # noqa: PLC0415 - confirmed findings alone have values

    shape = np.asarray(at).shape
    step = np.zeros(int(np.prod(shape)), np.float64)
    step[element] = 0.01
    index = [str(axis) for axis in np.unravel_index(element, shape)] if shape else []
    return literal(step.reshape(shape).tolist()), f"[{', '.join(index)}]" if index else ""


def _miscounted(claim: Node, given: int) -> str:
    """Return a program in which TensorFlow counts the gradients."""
    names = [f"x{position}" for position in range(len(_listed(claim, "x")))]
    both = ", ".join(names)
    return f"""\
import tensorflow as tf


@tf.custom_gradient
def f({both}):
    return tf.add_n([{both}]), lambda upstream: [upstream] * {given}


{" = ".join(names)} = tf.constant(1.0)
with tf.GradientTape() as tape:
    tape.watch([{both}])
    value = f({both})
# gradients: {given}, arguments: {len(names)}; expect an error
print("gradient:", tape.gradient(value, [{both}]))
"""


def _bypassed(nodes: Sequence[Node], activation: int) -> list[Node]:
    """Return the nodes with an activation replaced by its operand."""
    return [
        replace(node, op="identity", args=(("input", Ref(node.operands[0])),))
        if node.id == activation
        else node
        for node in nodes
    ]


def _given(function: Function, evidence: Evidence) -> list[str]:
    return [f"{n} = {_tensor(spec, _feed(spec, evidence))}" for n, spec in function.inputs]


def _compared(function: Function, other: Function, evidence: Evidence) -> list[str]:
    """Print the loss of certain, right logits with an activation before it and without."""
    return [
        *_given(function, evidence),
        f'print("loss:", float(tf.reduce_mean({_call(function)})))',
        "# the logits are right: expect a loss of 0, as without the activation",
        f'print("loss without the activation:", float(tf.reduce_mean({_call(other)})))',
    ]


def _both_ways(function: Function, evidence: Evidence) -> list[str]:
    """Print the loss as its parameters are named, and as Keras calls it."""
    label, prediction = (str(evidence.detail[key]) for key in ("label", "prediction"))
    names = {label: prediction, prediction: label}
    crossed = ", ".join(names.get(name, name) for name, _ in function.inputs)
    return [
        *_given(function, evidence),
        f'print("loss:", tf.reduce_mean({_call(function)}).numpy())',
        "# Keras hands the labels to the first parameter: expect another loss",
        f'print("loss in Keras:", tf.reduce_mean({function.name}({crossed})).numpy())',
    ]


def _same_slope(function: Function, evidence: Evidence) -> list[str]:
    """Print the loss and its gradient for two predictions with the same labels."""
    import numpy as np  # noqa: PLC0415 - confirmed findings alone have values

    moved = str(evidence.detail["moved"])
    first, flat = evidence.witness[moved], evidence.detail["other"]
    second: Tensor = np.reshape(np.asarray(flat, np.float32), np.shape(first)).tolist()
    given = [line for line in _given(function, evidence) if not line.startswith(f"{moved} = ")]
    return [
        *given,
        "# the second prediction is another one: expect the same slope",
        f"for {moved} in ({_constant(first)}, {_constant(second)}):",
        "    with tf.GradientTape() as tape:",
        f"        tape.watch({moved})",
        f"        value = {_call(function)}",
        f'    print("loss:", value.numpy(), "slope:", tape.gradient(value, {moved}).numpy())',
    ]


def _constant(value: Tensor) -> str:
    return f"tf.constant({literal(value)})"


def _always(function: Function, evidence: Evidence) -> list[str]:
    """Print what goes in and the value, which is always the same."""
    wrt = _differentiated(function)
    return [
        *_given(function, evidence),
        *(f'print("{name}:", {name}.numpy().tolist())' for name in wrt),
        f'print("loss:", {_call(function)}.numpy())',
    ]


def _body(function: Function, check: Check, evidence: Evidence) -> list[str]:
    if check is Check.EXCHANGED:
        return _same_slope(function, evidence)
    if check is Check.SIGNATURE:
        return _both_ways(function, evidence)
    if check is Check.BROADCAST:
        return [
            *_given(function, evidence),
            f"value = {_call(function)}",
            "# one number for each sample would do: expect a matrix",
            'print("shape:", value.shape, "values:", value.numpy().tolist())',
        ]
    if check is Check.SINGLE_VALUE and evidence.hazard is Hazard.WRONG_LOSS:
        return _always(function, evidence)
    feeds = {name: _feed(spec, evidence) for name, spec in function.inputs}
    curve = _curve(function, feeds, evidence)
    if curve is not None:
        return curve
    lines = [f"{name} = {_tensor(spec, feeds[name])}" for name, spec in function.inputs]
    if check is Check.HALF:
        return _halved(function, feeds, evidence)
    if evidence.hazard is Hazard.WRONG_LOSS and _differentiated(function):
        return lines + _descent(function)
    if evidence.hazard is Hazard.WRONG_GRADIENT and "limits" in evidence.detail:
        return lines + _astray(function, evidence)
    return lines + _gradient(function, evidence)


def _halved(function: Function, feeds: dict[str, Tensor], evidence: Evidence) -> list[str]:
    """Print the value and the gradient in the reduced dtype, and say what float32 gives."""
    dtype = evidence.detail["dtype"]
    lines = [
        f"{name} = tf.constant({literal(feeds[name])}, tf.{dtype})"
        if not _plain(spec) and any(isinstance(item, float) for item in _items(feeds[name]))
        else f"{name} = {_tensor(spec, feeds[name])}"
        for name, spec in function.inputs
    ]
    known = [
        f"{what} {evidence.detail[key]:.4g}"
        for what, key in (("the value is", "float32_value"), ("the gradient", "float32_gradient"))
        if isinstance(evidence.detail.get(key), float)
    ]
    return [*lines, f"# in float32 {', '.join(known)}", *_gradient(function, evidence)]


def _items(tensor: Tensor) -> list[Number]:
    if isinstance(tensor, list):
        return [item for part in tensor for item in _items(part)]
    return [tensor]


def _feed(spec: Input, evidence: Evidence) -> Tensor:
    """Return the witness of one input; a hyperparameter that it leaves out has its default."""
    found = evidence.witness.get(spec.name)
    if found is not None:
        return found
    if spec.default is not None:
        return int(spec.default) if spec.integer else spec.default
    return min(max(0.5, spec.lo), spec.hi)


def _tensor(spec: Input, value: Tensor) -> str:
    """Return the expression of one input's value; hyperparameters are plain numbers."""
    return literal(value) if _plain(spec) else _constant(value)


def _plain(spec: Input) -> bool:
    return spec.role is InputRole.PARAMETER and not spec.differentiated


def _call(function: Function, replaced: str = "", by: str = "") -> str:
    names = [by if name == replaced else name for name, _ in function.inputs]
    return f"{function.name}({', '.join(names)})"


def _differentiated_by(spec: Input | None) -> bool:
    return spec is not None and spec.differentiated and not spec.integer


def _differentiated(function: Function) -> list[str]:
    return [name for name, spec in function.inputs if _differentiated_by(spec)]


def _gradient(function: Function, evidence: Evidence) -> list[str]:
    """Print the value and the gradient at the witness."""
    wrt = _differentiated(function)
    watch = [f"tape.watch([{', '.join(wrt)}])"] if wrt else []
    sources = f"[{', '.join(wrt)}]"
    lines: list[str] = []
    call = f"tf.convert_to_tensor({_call(function)})" if function.numpy else _call(function)
    if evidence.mode in ("graph", "xla"):
        tensors = [name for name, spec in function.inputs if not _plain(spec)]
        option = "(jit_compile=True)" if evidence.mode == "xla" else ""
        lines += [
            "",
            "",
            f"@tf.function{option}",
            f"def run({', '.join(tensors)}):",
            "    with tf.GradientTape() as tape:",
            *(f"        {line}" for line in watch),
            f"        value = {call}",
            f"    return value, tape.gradient(value, {sources})",
            "",
            "",
            f"value, gradients = run({', '.join(tensors)})",
        ]
    else:
        lines += [
            "with tf.GradientTape() as tape:",
            *(f"    {line}" for line in watch),
            f"    value = {call}",
            f"gradients = tape.gradient(value, {sources})",
        ]
    lines += [
        f"# {_expected(evidence)}",
        'print("value:", value.numpy().tolist())',
        "gradients = [g if g is None else tf.convert_to_tensor(g).numpy().tolist() "
        "for g in gradients]",
        'print("gradient:", gradients)',
    ]
    if evidence.hazard is Hazard.INACCURATE and "float32" not in function.text:
        lines += _doubled(function)
    return lines


def _doubled(function: Function) -> list[str]:
    """Print the value and the gradient of the same inputs in float64."""
    wrt = ", ".join(_differentiated(function))
    return [
        *(
            f"{name} = tf.cast({name}, tf.float64)"
            for name, spec in function.inputs
            if not _plain(spec) and not spec.integer
        ),
        "with tf.GradientTape() as tape:",
        f"    tape.watch([{wrt}])",
        f"    value = {_call(function)}",
        'print("in float64 value:", value.numpy().tolist())',
        f'print("gradient:", [g.numpy().tolist() for g in tape.gradient(value, [{wrt}])])',
    ]


def _expected(evidence: Evidence) -> str:
    """Return one comment line that says what to look for."""
    if evidence.hazard is Hazard.INACCURATE:
        owner, double = evidence.detail.get("value_of"), evidence.detail.get("float64")
        return f"in float64 the {owner} has {double} where it is farthest off"
    return {
        Hazard.NAN: "expect nan",
        Hazard.INF: "expect an infinity",
        Hazard.ZERO_GRADIENT: "expect a gradient of exact zeros",
        Hazard.NO_GRADIENT: "expect no gradient at all (None)",
        Hazard.VANISHING: "expect a gradient near zero",
        Hazard.EXPLODING: "expect a huge gradient",
        Hazard.WRONG_GRADIENT: "expect another value than the step's, or a slope other than 1",
    }.get(evidence.hazard, f"expect: {evidence.hazard}")


def _curve(function: Function, feeds: dict[str, Tensor], evidence: Evidence) -> list[str] | None:
    """Print points of a function of one number; None if the evidence is of another kind."""
    moved = [
        name
        for name, spec in function.inputs
        if _differentiated_by(spec)
        and spec.role is not InputRole.PARAMETER
        and name in evidence.witness
    ]
    if not moved:
        return None
    name = moved[0]
    at = feeds[name]
    if isinstance(at, list):
        return None
    others = [
        f"{key} = {_tensor(spec, feeds[key])}" for key, spec in function.inputs if key != name
    ]
    if evidence.hazard is Hazard.DISCONTINUOUS:
        return others + _jump(function, name, at)
    if "gain" in evidence.detail:
        return others + _network(function, name, evidence)
    turns = evidence.detail.get("turning_points")
    if evidence.hazard is Hazard.NON_MONOTONIC and isinstance(turns, list):
        return others + _turn(function, name, turns[0], at)
    return None


def _network(function: Function, name: str, evidence: Evidence) -> list[str]:
    """Print what a plain random network of the activation leaves of a gradient."""
    scale, weights, layers = (
        evidence.detail.get(key) for key in ("input_scale", "weight_scale", "layers")
    )
    depth = int(layers) if isinstance(layers, float) else 1
    off, expected = "", "a thousandth of the gradient that came in, or less"
    if evidence.hazard is Hazard.VANISHING:
        depth += 1  # the gain is exact in a network of infinite width only
    else:
        off, expected = " * 1.1", "a thousand times the gradient that came in, or more"
    return [
        f"start = {scale} * tf.random.stateless_normal([64, 256], [0, 0]){off}",
        "with tf.GradientTape() as tape:",
        "    tape.watch(start)",
        f"    {name} = start",
        f"    for layer in range({depth}):",
        "        weights = tf.random.stateless_normal([256, 256], [1, layer]) / 16.0",
        f"        {name} = {_call(function)} @ ({weights} * weights)",
        "    error = tf.random.stateless_normal([64, 256], [2, 0])",
        f"    loss = tf.reduce_sum({name} * error)",
        "gradient = tape.gradient(loss, start)",
        f"# expect {expected}",
        f'print("share of the gradient after {depth} layers:", '
        "float(tf.norm(gradient) / tf.norm(error)))",
    ]


def _jump(function: Function, name: str, at: float) -> list[str]:
    """Print the values at a float and its two neighbours."""
    import numpy as np  # noqa: PLC0415 - confirmed findings alone have values

    point = np.float32(at)
    # TensorFlow takes denormal numbers as 0, so that these are the neighbours of 0.
    sides = (
        (-TINY, TINY) if at == 0.0 else np.nextafter(point, np.array([-np.inf, np.inf], np.float32))
    )
    points = [float(sides[0]), float(at), float(sides[1])]
    return [
        "# neighbouring floats: expect a jump of the value",
        f"points = {literal([*points])}",
        f"values = [{_call(function, name, 'tf.constant(point)')} for point in points]",
        'print("values:", [value.numpy().tolist() for value in values])',
    ]


def _turn(function: Function, name: str, turn: float, steepest: float) -> list[str]:
    """Print values and slopes on either side of a turning point, and where it is steepest."""
    step = _BESIDE * max(abs(turn), 1.0)
    points = sorted({round(turn - step, 6), round(turn + step, 6), float(steepest)})
    return [
        f"{name} = tf.constant({literal([*points])})",
        "with tf.GradientTape() as tape:",
        f"    tape.watch({name})",
        f"    value = {_call(function)}",
        f"# turning point near {turn:g}: expect slopes of both signs",
        'print("values:", value.numpy().tolist())',
        f'print("slopes:", tape.gradient(value, {name}).numpy().tolist())',
    ]


def _descent(function: Function) -> list[str]:
    """Print the loss at the target, and the smaller one where gradient descent leads."""
    wrt = _differentiated(function)[0]
    spec = dict(function.inputs)[wrt]
    bound = f"    {wrt} = tf.clip_by_value({wrt}, 0.001, 0.999)"
    return [
        f"loss = tf.reduce_mean({_call(function)})",
        'print("loss at the target:", round(float(loss), 4))',
        f"{wrt} += 0.1",  # away from a maximum, where the gradient is 0
        "for _ in range(200):",
        "    with tf.GradientTape() as tape:",
        f"        tape.watch({wrt})",
        f"        loss = tf.reduce_mean({_call(function)})",
        f"    gradient = tape.gradient(loss, {wrt})",
        f"    {wrt} -= 0.05 * gradient / (tf.reduce_max(tf.abs(gradient)) + 1e-9)",
        *([bound] if (spec.lo, spec.hi) == (0.0, 1.0) else []),
        "# the loss should be smallest at the target: expect a smaller one elsewhere",
        f"loss = tf.reduce_mean({_call(function)})",
        'print("loss after descent:", round(float(loss), 4))',
    ]


def _astray(function: Function, evidence: Evidence) -> list[str]:
    """Print where the sign of the gradient leads from the witness."""
    wrt = _differentiated(function)[0]
    steps, rate = (f"{evidence.detail[key]:g}" for key in ("steps", "rate"))
    limits = evidence.detail["limits"]
    low, high = limits if isinstance(limits, list) else (0.0, 0.0)
    at_target = evidence.detail["loss_at_target"]
    return [
        f"loss = tf.reduce_mean({_call(function)})",
        'print("loss at the start:", round(float(loss), 4))',
        f"for step in range({steps}):",
        "    with tf.GradientTape() as tape:",
        f"        tape.watch({wrt})",
        f"        loss = tf.reduce_mean({_call(function)})",
        f"    gradient = tape.gradient(loss, {wrt})",
        f"    move = {rate} * (1 - step / {steps}) * gradient / (tf.abs(gradient) + 1e-6)",
        f"    {wrt} = tf.clip_by_value({wrt} - move, {low:g}, {high:g})",
        f"loss = tf.reduce_mean({_call(function)})",
        f"# where prediction and label agree, the loss is {at_target:.4g}",
        'print("loss after descent:", round(float(loss), 4))',
        f'print("prediction after descent:", {wrt}.numpy().round(2).tolist())',
    ]
