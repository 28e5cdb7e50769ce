"""The program that a person can paste: the excerpt that the worker ran, with the witness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from actlint.excerpt import sliced
from actlint.findings import Check, Evidence, Hazard, Outcome, Suspect
from actlint.graph import Graph, Node, Ref
from actlint.rendering import OWN_GRADIENT, OWN_GRADIENT_HELPER, Function, render
from actlint.repro.calling import (
    call,
    differentiated,
    feed,
    given,
    is_differentiated,
    plain,
    tensor,
)
from actlint.repro.curves import curve
from actlint.repro.gradients import custom_gradient
from actlint.repro.halves import reduced, retyped
from actlint.repro.losses import (
    always,
    astray,
    beside_others,
    both,
    both_ways,
    compared,
    descent,
    in_fractions,
    moved_and_traced,
    of_one_size,
    of_shares,
    on_both_sides,
    same_for_labels,
    same_slope,
    stopped,
    twice,
    twice_traced,
    with_and_without,
)

# Checks of what an expression does by itself, whatever is made of it later.
_LOCAL = frozenset(
    {
        Check.BROADCAST,
        Check.SINGLE_VALUE,
        Check.DEAD_SHARE,
        Check.EXCHANGED,
        Check.OTHER_SAMPLES,
        Check.OWN_SAMPLES,
        Check.CONTRIBUTION,
        Check.SATURATION,
        Check.SHARES,
        Check.SQUEEZED,
        Check.STRAIGHT_THROUGH,
        Check.STUCK,
        Check.UNIFORM,
    }
)


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
        return custom_gradient(graph, suspect.node, evidence, function_name)
    partial = evidence.detail.get("partial") is not None
    local = suspect.check in _LOCAL or (suspect.check is Check.CUT and partial)
    end = suspect.node if local else graph.output
    # An input that nothing depends on is part of the proof that it gets no gradient.
    wanted = {node.id for node in graph.inputs if is_differentiated(node.input)}
    nodes = sliced(graph, {end} if local else {end, *wanted})
    if suspect.check is Check.HALF:
        nodes = retyped(graph, nodes)
    function = render(nodes, end, function_name)
    text = function.text
    if suspect.check is Check.STRAIGHT_THROUGH:
        step = render(sliced(graph, {suspect.targets[0].node}), suspect.targets[0].node, "step")
        text += f"\n\n\n{step.text}"
        body = _body(function, suspect.check, evidence)
        body.append(f'print("value of the step:", {call(step)}.numpy().tolist())')
    elif suspect.check is Check.FLOOR:
        other = render(_bypassed(nodes, suspect.targets[0].node), end, f"{function.name}_of_logits")
        text += f"\n\n\n{other.text}"
        body = compared(function, other, evidence)
    elif suspect.check is Check.HELD_LABEL:
        other = render(stopped(nodes, suspect.node), end, f"{function.name}_held")
        text += f"\n\n\n{other.text}"
        body = with_and_without(function, other, evidence)
    elif suspect.check is Check.TRUNCATION:
        other = render(in_fractions(nodes, suspect), end, f"{function.name}_in_fractions")
        text += f"\n\n\n{other.text}"
        body = both(function, other, evidence)
    else:
        record = graph.nodes[suspect.node].input
        # The program may call it otherwise, as where the function has the same name.
        name = next((name for name, spec in function.inputs if spec == record), "")
        body = _body(function, suspect.check, evidence, name)
    imports = "import tensorflow as tf\n"
    if f"{OWN_GRADIENT}(" in text:
        text = f"{OWN_GRADIENT_HELPER}\n\n{text}"
    text += "\n\n\n" + "\n".join(body)
    if "np." in text:
        imports = "import numpy as np\n" + imports
    return f"{imports}\n\n{text}\n"


def _bypassed(nodes: Sequence[Node], activation: int) -> list[Node]:
    """Return the nodes with an activation replaced by its operand."""
    return [
        replace(node, op="identity", args=(("input", Ref(node.operands[0])),))
        if node.id == activation
        else node
        for node in nodes
    ]


def _body(function: Function, check: Check, evidence: Evidence, name: str = "") -> list[str]:
    if check is Check.EXCHANGED:
        return same_slope(function, evidence)
    if check is Check.SIGNATURE:
        return both_ways(function, evidence)
    if check is Check.BROADCAST:
        return [
            *given(function, evidence),
            f"value = {call(function)}",
            "# one number for each sample would do: expect a matrix",
            'print("shape:", value.shape, "values:", value.numpy().tolist())',
        ]
    if check in (Check.OTHER_SAMPLES, Check.OWN_SAMPLES):
        return beside_others(function, evidence)
    if check is Check.LABEL_FREE:
        return same_for_labels(function, evidence)
    if check in (Check.BATCH_SIZE, Check.LOST_BATCH):
        return twice(function, evidence)
    if check is Check.FROZEN_DRAW:
        return twice_traced(function, evidence)
    if check is Check.FROZEN_STATE:
        return moved_and_traced(function, evidence, name)
    if check is Check.FIXED_BATCH:
        return of_one_size(function, evidence)
    if check is Check.ONE_SIDED:
        return on_both_sides(function, evidence)
    if check is Check.SHARES:
        return of_shares(function, evidence)
    if check is Check.CONTRIBUTION:
        return always(function, evidence)
    if check is Check.HALF:
        return [*reduced(function, evidence), *_gradient(function, evidence)]
    if check is Check.SINGLE_VALUE and evidence.hazard is Hazard.WRONG_LOSS:
        return always(function, evidence)
    feeds = {name: feed(spec, evidence) for name, spec in function.inputs}
    points = curve(function, feeds, evidence)
    if points is not None:
        return points
    lines = [f"{name} = {tensor(spec, feeds[name])}" for name, spec in function.inputs]
    if evidence.hazard is Hazard.WRONG_LOSS and differentiated(function):
        return lines + descent(function, evidence)
    if evidence.hazard is Hazard.WRONG_GRADIENT and "limits" in evidence.detail:
        return lines + astray(function, evidence)
    return lines + _gradient(function, evidence)


def _gradient(function: Function, evidence: Evidence) -> list[str]:
    """Print the value and the gradient at the witness."""
    wrt = differentiated(function)
    watch = [f"tape.watch([{', '.join(wrt)}])"] if wrt else []
    sources = f"[{', '.join(wrt)}]"
    lines: list[str] = []
    called = f"tf.convert_to_tensor({call(function)})" if function.numpy else call(function)
    if evidence.mode in ("graph", "xla"):
        tensors = [name for name, spec in function.inputs if not plain(spec)]
        option = "(jit_compile=True)" if evidence.mode == "xla" else ""
        lines += [
            "",
            "",
            f"@tf.function{option}",
            f"def run({', '.join(tensors)}):",
            "    with tf.GradientTape() as tape:",
            *(f"        {line}" for line in watch),
            f"        value = {called}",
            f"    return value, tape.gradient(value, {sources})",
            "",
            "",
            f"value, gradients = run({', '.join(tensors)})",
        ]
    else:
        lines += [
            "with tf.GradientTape() as tape:",
            *(f"    {line}" for line in watch),
            f"    value = {called}",
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
    wrt = ", ".join(differentiated(function))
    return [
        *(
            f"{name} = tf.cast({name}, tf.float64)"
            for name, spec in function.inputs
            if not plain(spec) and not spec.integer
        ),
        "with tf.GradientTape() as tape:",
        f"    tape.watch([{wrt}])",
        f"    value = {call(function)}",
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
