"""Programs that show what a loss means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from actlint.findings import Evidence, Hazard, Suspect, Tensor
from actlint.graph import Node, Ref
from actlint.rendering import Function, literal
from actlint.repro.calling import call, constant, differentiated, given, plain


def compared(function: Function, other: Function, evidence: Evidence) -> list[str]:
    """Print the loss of certain, right logits with an activation before it and without."""
    return [
        *given(function, evidence),
        f'print("loss:", float(tf.reduce_mean({call(function)})))',
        "# the logits are right: expect a loss of 0, as without the activation",
        f'print("loss without the activation:", float(tf.reduce_mean({call(other)})))',
    ]


def of_shares(function: Function, evidence: Evidence) -> list[str]:
    """Print a cross-entropy of logits at right probabilities, and at logits that say the same."""
    taken = str(evidence.detail["moved"])
    moved = next(name for name, spec in function.inputs if spec.name == taken)
    logits = call(function, moved, f"40.0 * {moved} - 20.0")
    return [
        *given(function, evidence),
        f'print("cross-entropy:", float(tf.reduce_mean({call(function)})))',
        "# the probabilities are right: expect 0, as for logits that say the same",
        f'print("cross-entropy of logits:", float(tf.reduce_mean({logits})))',
    ]


def on_both_sides(function: Function, evidence: Evidence) -> list[str]:
    """Print a loss for predictions that are too large and as much too small."""
    moved, kept, predictions = _two_values(function, evidence)
    return [
        *kept,
        "# as far off on either side: expect two numbers",
        f"for {moved} in {predictions}:",
        f'    print("loss:", float(tf.reduce_mean({call(function)})))',
    ]


def stopped(nodes: Sequence[Node], label: int) -> list[Node]:
    """Return the nodes with one of them behind ``tf.stop_gradient`` wherever it is read."""
    spare = 1 + max(node.id for node in nodes)
    found: list[Node] = []
    for node in nodes:
        args = tuple(
            (name, Ref(spare) if value == Ref(label) else value) for name, value in node.args
        )
        found.append(replace(node, args=args))
        if node.id == label:
            stop = (("input", Ref(label)),)
            found.append(
                replace(node, id=spare, op="stop_gradient", args=stop, input=None, name="")
            )
    return found


def with_and_without(function: Function, other: Function, evidence: Evidence) -> list[str]:
    """Print the gradient of a loss, and the one that it has if its labels are held fixed."""
    wrt = differentiated(function)
    tape = ["with tf.GradientTape() as tape:", f"    tape.watch([{', '.join(wrt)}])"]
    slopes = f'tape.gradient(value, [{", ".join(wrt)}], unconnected_gradients="zero")'
    shown = f"[g.numpy().tolist() for g in {slopes}]"
    return [
        *given(function, evidence),
        *tape,
        f"    value = {call(function)}",
        f'print("gradient:", {shown})',
        *tape,
        f"    value = {call(other)}",
        "# the same with the label held fixed: expect another gradient",
        f'print("gradient:", {shown})',
    ]


def in_fractions(nodes: Sequence[Node], suspect: Suspect) -> list[Node]:
    """Return the nodes with a cast, or an integer division, that keeps fractions."""
    changed = {"cast": "identity", "floordiv": "divide"}

    def kept(node: Node) -> Node:
        if node.id != suspect.node:
            return node
        if not node.op:
            return replace(node, value=suspect.threshold)
        args = node.args if node.op == "floordiv" else (("input", node.args[0][1]),)
        return replace(node, op=changed.get(node.op, node.op), args=args)

    return [kept(node) for node in nodes]


def both(function: Function, other: Function, evidence: Evidence) -> list[str]:
    """Print a loss as it is, and as it would be with fractions."""
    return [
        *given(function, evidence),
        f'print("loss:", float(tf.reduce_mean({call(function)})))',
        "# an integer cuts off a fraction: expect another loss with it",
        f'print("loss with fractions:", float(tf.reduce_mean({call(other)})))',
    ]


def both_ways(function: Function, evidence: Evidence) -> list[str]:
    """Print the loss as its parameters are named, and as Keras calls it."""
    label, prediction = (str(evidence.detail[key]) for key in ("label", "prediction"))
    names = {label: prediction, prediction: label}
    crossed = ", ".join(names.get(name, name) for name, _ in function.inputs)
    return [
        *given(function, evidence),
        f'print("loss:", tf.reduce_mean({call(function)}).numpy())',
        "# Keras hands the labels to the first parameter: expect another loss",
        f'print("loss in Keras:", tf.reduce_mean({function.name}({crossed})).numpy())',
    ]


def same_slope(function: Function, evidence: Evidence) -> list[str]:
    """Print the loss and its gradient for two predictions with the same labels."""
    moved, kept, predictions = _two_values(function, evidence)
    return [
        *kept,
        "# the second prediction is another one: expect the same slope",
        *_slopes(moved, predictions, call(function)),
    ]


def same_for_labels(function: Function, evidence: Evidence) -> list[str]:
    """Print the slope of the loss with respect to the labels, for two of them."""
    moved, kept, labels = _two_values(function, evidence)
    return [
        *kept,
        "# the error is the label less something else: expect the same slope for other labels",
        *_slopes(moved, labels, f"tf.reduce_mean({call(function)})"),
    ]


def _slopes(moved: str, values: str, loss: str) -> list[str]:
    """Print a loss and its slope for each value of one input."""
    return [
        f"for {moved} in {values}:",
        "    with tf.GradientTape() as tape:",
        f"        tape.watch({moved})",
        f"        value = {loss}",
        f'    print("loss:", value.numpy(), "slope:", tape.gradient(value, {moved}).numpy())',
    ]


def beside_others(function: Function, evidence: Evidence) -> list[str]:
    """Print the value of one sample in two batches that share no other."""
    moved, kept, batches = _two_values(function, evidence)
    return [
        *kept,
        "# the second sample is the same in both: expect another value for it",
        f"for {moved} in {batches}:",
        f'    print("second sample:", {call(function)}[1].numpy().tolist())',
    ]


def _two_values(function: Function, evidence: Evidence) -> tuple[str, list[str], str]:
    """Return the input that takes two values, lines that set all others, and the two values."""
    import numpy as np  # noqa: PLC0415 - confirmed findings alone have values

    moved = str(evidence.detail["moved"])
    first, flat = evidence.witness[moved], evidence.detail["other"]
    second: Tensor = np.reshape(np.asarray(flat, np.float32), np.shape(first)).tolist()
    kept = [line for line in given(function, evidence) if not line.startswith(f"{moved} = ")]
    return moved, kept, f"({constant(first)}, {constant(second)})"


def twice(function: Function, evidence: Evidence) -> list[str]:
    """Print the mean loss or the shape for a batch, and for one with all samples repeated."""
    batched = str(evidence.detail["batched"]).split()
    again = [
        f"tf.concat([{name}, {name}], axis=0)" if name in batched else name
        for name, _ in function.inputs
    ]
    doubled = f"{function.name}({', '.join(again)})"
    if evidence.hazard is Hazard.MIXED_SAMPLES:
        return [
            *given(function, evidence),
            f'print("shape:", {call(function)}.shape)',
            "# the same samples twice: expect the same shape, without an axis of samples",
            f'print("shape of the batch twice:", {doubled}.shape)',
        ]
    return [
        *given(function, evidence),
        f'print("loss:", tf.reduce_mean({call(function)}).numpy())',
        "# the same samples twice: expect another loss",
        f'print("loss of the batch twice:", tf.reduce_mean({doubled}).numpy())',
    ]


def twice_traced(function: Function, evidence: Evidence) -> list[str]:
    """Print the values of two calls in eager mode, and of two under ``tf.function``."""
    tensors = [name for name, spec in function.inputs if not plain(spec)]
    run = f"lambda {', '.join(tensors)}: {call(function)}"
    return [
        *given(function, evidence),
        f"run = {run}",
        "# drawn anew at each call in eager mode; traced, expect the same twice",
        # Names that no function of the user's has in the program.
        "for g in (run, tf.function(run)):",
        "    for _ in range(2):",
        f"        value = tf.convert_to_tensor(g({', '.join(tensors)}))",
        '        print("eager" if g is run else "traced", value.numpy().tolist())',
    ]


def moved_and_traced(function: Function, evidence: Evidence, name: str) -> list[str]:
    """Print the values at two settings of a Python number, in eager mode and traced once."""
    tensors = ", ".join(n for n, spec in function.inputs if not plain(spec))
    settings = ", ".join(literal(float(str(evidence.detail[key]))) for key in ("begin", "later"))
    others = [line for line in given(function, evidence) if not line.startswith(f"{name} = ")]
    return [
        *others,
        # Names that no function of the user's has in the program.
        "g = {}",
        f"run = lambda {tensors}: {call(function, name, 'g[0]')}",
        "# in eager mode the value follows the number; traced, expect the first one twice",
        "for h in (run, tf.function(run)):",
        f"    for g[0] in ({settings}):",
        f"        value = tf.convert_to_tensor(h({tensors}))",
        '        print("eager" if h is run else "traced", value.numpy().tolist())',
    ]


def of_one_size(function: Function, evidence: Evidence) -> list[str]:
    """Print the loss of the only batch that runs, and the error of one with a sample less."""
    rows = round(float(str(evidence.detail["rows_that_run"])))
    fed = dict(_fed(part) for part in str(evidence.detail["shapes"]).split())
    arguments = ", ".join(
        fed.get(name, literal(spec.default or 1.0)) for name, spec in function.inputs
    )
    return [
        f"for points in ({rows}, {rows - 1}):",
        "    try:",
        f"        value = tf.reduce_mean({function.name}({arguments}))",
        '        print(points, "samples, loss:", float(value))',
        "    # expect an error: no other number of samples will do",
        "    except (tf.errors.InvalidArgumentError, ValueError) as g:",
        '        print(points, "samples:", g)',
    ]


def _fed(part: str) -> tuple[str, str]:
    """Return an input's name and the expression of its value for so many rows."""
    name, dtype, shape = part.split(":")
    sizes = ["points" if size == "?" else size for size in shape.split("x") if size]
    value = "0.5" if dtype == "float32" else "0"
    filled = f"tf.fill([{', '.join(sizes)}], {value})"
    return name, filled if dtype in {"float32", "int32"} else f"tf.cast({filled}, tf.{dtype})"


def always(function: Function, evidence: Evidence) -> list[str]:
    """Print what goes in and the value, which is always the same."""
    wrt = differentiated(function)
    return [
        *given(function, evidence),
        *(f'print("{name}:", {name}.numpy().tolist())' for name in wrt),
        f'print("loss:", {call(function)}.numpy())',
    ]


def descent(function: Function, evidence: Evidence) -> list[str]:
    """Print the loss at the target, and the smaller one where gradient descent leads."""
    wrt = differentiated(function)[0]
    spec = dict(function.inputs)[wrt]
    bound = f"    {wrt} = tf.clip_by_value({wrt}, 0.001, 0.999)"
    along, share = _rows(evidence, wrt)
    return [
        f"loss = tf.reduce_mean({call(function)})",
        'print("loss at the target:", round(float(loss), 4))',
        f"{wrt} += 0.1",  # away from a maximum, where the gradient is 0
        "for _ in range(200):",
        "    with tf.GradientTape() as tape:",
        f"        tape.watch({wrt})",
        f"        loss = tf.reduce_mean({call(function)})",
        f"    gradient = tape.gradient(loss, {wrt})",
        *along,
        f"    {wrt} -= 0.05 * gradient / (tf.reduce_max(tf.abs(gradient)) + 1e-9)",
        *([bound] if (spec.lo, spec.hi) == (0.0, 1.0) else []),
        *share,
        "# the loss should be smallest at the target: expect a smaller one elsewhere",
        f"loss = tf.reduce_mean({call(function)})",
        'print("loss after descent:", round(float(loss), 4))',
    ]


def astray(function: Function, evidence: Evidence) -> list[str]:
    """Print where the sign of the gradient leads from the witness."""
    wrt = differentiated(function)[0]
    steps, rate = (f"{evidence.detail[key]:g}" for key in ("steps", "rate"))
    limits = evidence.detail["limits"]
    low, high = limits if isinstance(limits, list) else (0.0, 0.0)
    at_target = evidence.detail["loss_at_target"]
    return [
        f"loss = tf.reduce_mean({call(function)})",
        'print("loss at the start:", round(float(loss), 4))',
        f"for step in range({steps}):",
        "    with tf.GradientTape() as tape:",
        f"        tape.watch({wrt})",
        f"        loss = tf.reduce_mean({call(function)})",
        f"    gradient = tape.gradient(loss, {wrt})",
        f"    move = {rate} * (1 - step / {steps}) * gradient / (tf.abs(gradient) + 1e-6)",
        f"    {wrt} = tf.clip_by_value({wrt} - move, {low:g}, {high:g})",
        f"loss = tf.reduce_mean({call(function)})",
        f"# where prediction and label agree, the loss is {at_target:.4g}",
        'print("loss after descent:", round(float(loss), 4))',
        f'print("prediction after descent:", {wrt}.numpy().round(2).tolist())',
    ]


def _rows(evidence: Evidence, wrt: str) -> tuple[list[str], list[str]]:
    """Return what keeps rows on the simplex: of the gradient, and of the prediction."""
    if not evidence.detail.get("softmax"):
        return [], []
    return (
        ["    gradient -= tf.reduce_mean(gradient, axis=-1, keepdims=True)"],
        [f"    {wrt} /= tf.reduce_sum({wrt}, axis=-1, keepdims=True)"],
    )
