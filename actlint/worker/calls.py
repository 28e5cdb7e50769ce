"""Do the operands of a loss stand where they belong, and are they what it takes?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from actlint.findings import Hazard, Outcome, Reach, Suspect, Verdict
from actlint.graph import InputRole, Ref
from actlint.worker import samples, witness
from actlint.worker.bench import Bench
from actlint.worker.inputs import Encoding, Slot, Template
from actlint.worker.probes import Trace, floating
from actlint.worker.samples import Array, Feeds, Sample

# Rows of the batches: few, so that a witness can be read.
_ROWS = 2
# Right and wrong predictions, as probabilities and as logits.
_SURE = 0.9
_LOGIT = 3.0
# A wrong class's logit; not the opposite, so that the logits of two classes do not add up to 0.
_OTHER = 2.0
# Two gradients differ by more than rounding if they do by this share of their size.
_DIFFERS = 1e-3
# Logits of predictions, from as good as certain to those that smoothed labels ask for.
_CERTAIN = (20.0, 5.0, 3.0, 1.0)
# A value that moves by no more is constant: Keras' clip of probabilities is 1e-7.
_CONSTANT = 1e-5
# By so much the least loss is larger with the activation: the focal loss of two classes, which
# weighs small losses little, is 0.1 then, that of ten classes 0.5.
_FAR = 0.02


def check_exchanged(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that the gradient of a cross-entropy is the same whatever the prediction.

    A cross-entropy is linear in its labels: where predictions stand in their place, right and
    wrong ones get the same gradient. `suspect.targets` are the operand in the label's place and
    the one in the prediction's.
    """
    first, second = (target.node for target in suspect.targets[:2])
    for template in bench.templates:
        for right, wrong, moved in _pairs(bench, template):
            traces = [_run(bench, feeds) for feeds in (right, wrong)]
            if traces[0] is None or traces[1] is None:
                continue
            found = [
                _handed(bench, suspect.node, trace, first) for trace in traces if trace is not None
            ]
            if found[0] is None or found[1] is None:
                reason = "no gradient reaches the operand in the label's place"
                return Outcome(Verdict.UNCONFIRMED, reason)
            if not found[0].any() or not _same(found[0], found[1]):
                return Outcome(Verdict.REFUTED, "its gradient depends on the prediction")
            if not _turns(bench, suspect.node, first, second, traces[0], traces[1]):
                continue
            return _exchanged(suspect, template, moved, (traces[0], traces[1]), found[0])
    return Outcome(Verdict.UNCONFIRMED, "no label and prediction of one shape were found")


def _exchanged(
    suspect: Suspect,
    template: Template,
    moved: Slot,
    traces: tuple[Trace, Trace],
    gradient: Array,
) -> Outcome:
    right, wrong = traces
    slope = witness.worst([gradient])
    evidence = witness.seen(
        template,
        right.sample,
        f"the gradient is the same, up to {slope:.4g}, for a right prediction and for a wrong one",
        value=_mean(right.values[suspect.node]),
        gradient=slope,
        samples=2,
        moved=moved.spec.name,
        other=_flat(wrong.sample.feeds[moved.id]),
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def check_signature(bench: Bench, _: Suspect) -> Outcome:
    """Show that a loss is another one with label and prediction exchanged, as Keras calls it."""
    for template in bench.templates:
        labels, predictions = template.labels, template.differentiated
        if len(labels) != 1 or len(predictions) != 1:
            continue
        label, prediction = labels[0], predictions[0]
        if label.shape != prediction.shape or label.encoding is Encoding.CLASS:
            continue
        for right, wrong, _moved in _pairs(bench, template):
            named = [_run(bench, feeds) for feeds in (right, wrong)]
            keras = [
                _run(bench, _crossed(feeds, label, prediction), watch=label.id)
                for feeds in (right, wrong)
            ]
            if named[0] is None or named[1] is None:
                continue
            if keras[0] is None or keras[1] is None:
                continue
            gradients = [_cotangent(trace, prediction.id) for trace in (named[0], named[1])]
            called = [_cotangent(trace, label.id) for trace in (keras[0], keras[1])]
            if not _moves(gradients):
                # As it is named, it would not train: the names are wrong, and the order is right.
                return Outcome(Verdict.REFUTED, "its first parameter is used as the label")
            before, after = (
                _mean(named[1].values[named[1].output]),
                _mean(keras[1].values[keras[1].output]),
            )
            if _near(before, after) and _moves(called):
                return Outcome(Verdict.REFUTED, "it is the same with its arguments exchanged")
            values = (before, after)
            return _signature(template, wrong, (keras[0], keras[1]), values, (label, prediction))
    return Outcome(Verdict.UNCONFIRMED, "no label and prediction of one shape were found")


def _signature(
    template: Template,
    wrong: Feeds,
    keras: tuple[Trace, Trace],
    values: tuple[float, float],
    slots: tuple[Slot, Slot],
) -> Outcome:
    label, prediction = slots
    gradients = [_cotangent(trace, label.id) for trace in keras]
    if _moves(gradients):
        said = f"of a wrong prediction the loss is {values[0]:.4g}, but {values[1]:.4g} as Keras "
        said += "calls it"
    elif gradients[1] is None or not gradients[1].any():
        said = "called as Keras does, the prediction gets no gradient"
    else:
        said = "called as Keras does, the prediction gets the same gradient whether it is right or "
        said += "wrong"
    evidence = witness.seen(
        template,
        Sample(wrong, Reach.TYPICAL, ""),
        said,
        value=values[0],
        gradient=witness.worst(gradients[1:]),
        samples=2,
        label=label.spec.name,
        prediction=prediction.spec.name,
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def check_floor(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a cross-entropy of probabilities taken for logits stays far above 0.

    The first of `suspect.targets` is the sigmoid or softmax that stands before it.
    """
    lab, node, squash = bench.lab, suspect.node, suspect.targets[0].node
    logits = lab.operands[squash][0]
    for template in bench.templates:
        rng = samples.generator(bench.job, 21)
        # Class probabilities and labels agree in the first encoding of each.
        feeds = _labelled(bench, node, template, rng)
        base = _run(bench, feeds)
        if base is None:
            continue
        way = _certain(bench, node, base, base.values[logits].shape)
        if way is None:
            continue
        tried = [{**feeds, logits: np.asarray(size * way, np.float32)} for size in _CERTAIN]
        runs = [lab.values(fed) for fed in tried]
        means = [_mean(run[node]) for run in runs]
        least = min(means)
        fed, written = tried[means.index(least)], runs[means.index(least)]
        bare = min(
            _mean(lab.values({**fed, squash: np.asarray(size * way, np.float32)})[node])
            for size in _CERTAIN
        )
        if not np.isfinite([least, bare]).all() or least - bare <= _FAR:
            return Outcome(Verdict.REFUTED, f"right logits bring it down to {least:.3g}")
        sample = Sample(fed, Reach.STRUCTURAL, "")
        compiled = lab.compiled("graph", sample)
        eager = written[bench.job.output]
        healed = compiled is not None and not _near(_mean(compiled[0]), _mean(eager))
        direct = logits in {slot.id for slot in template.slots}
        evidence = witness.seen(
            template,
            sample if direct else Sample(feeds, sample.reach, ""),
            f"the loss of certain, right predictions is {least:.3g}, and {bare:.3g} without the "
            "activation",
            value=_mean(eager),
            modes="eager" if healed else "eager graph",
        )
        return Outcome(Verdict.CONFIRMED, None, evidence)
    return Outcome(Verdict.UNCONFIRMED, "no labels were found that say what a right prediction is")


def check_shares(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a cross-entropy of logits stays far above 0 at probabilities equal to the labels.

    The first of `suspect.targets` is the prediction, of which another term takes shares.
    """
    lab, node, moved = bench.lab, suspect.node, suspect.targets[0].node
    for template in bench.templates:
        feeds = _labelled(bench, node, template, samples.generator(bench.job, 25))
        base = _run(bench, feeds)
        way = None if base is None else _certain(bench, node, base, base.values[moved].shape)
        if way is None or moved not in feeds:
            continue
        equal = {**feeds, moved: np.asarray((way + 1.0) / 2.0, np.float32)}
        least = _mean(lab.values(equal)[node])
        bare = min(
            _mean(lab.values({**feeds, moved: np.asarray(size * way, np.float32)})[node])
            for size in _CERTAIN
        )
        if not np.isfinite([least, bare]).all() or least - bare <= _FAR:
            return Outcome(Verdict.REFUTED, f"right probabilities bring it down to {least:.3g}")
        slot = next(slot for slot in template.slots if slot.id == moved)
        evidence = witness.seen(
            template,
            Sample(equal, Reach.STRUCTURAL, ""),
            f"at probabilities that equal the labels the cross-entropy is {least:.3g}, and "
            f"{bare:.3g} at logits that say the same",
            value=least,
            moved=slot.spec.name,
        )
        return Outcome(Verdict.CONFIRMED, None, evidence)
    return Outcome(Verdict.UNCONFIRMED, "no labels were found that say what a right prediction is")


def check_stuck(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that sure and wrong logits get a gradient of exact zeros from a cross-entropy."""
    lab, node, logits = bench.lab, suspect.node, suspect.targets[0].node
    for template in bench.templates:
        rng = samples.generator(bench.job, 24)
        feeds = _labelled(bench, node, template, rng)
        if "binary" in lab.steps[node].op or "log_loss" in lab.steps[node].op:
            # Of two classes the first: activations such as tanh can say no to it alone.
            labels = _labels(bench, node)
            feeds |= {key: np.ones_like(value) for key, value in feeds.items() if key == labels}
        others = (slot for slot in template.differentiated if slot.id != logits)
        feeds |= {slot.id: np.zeros_like(feeds[slot.id]) for slot in others}
        base = _run(bench, feeds)
        if base is None or logits not in feeds:
            continue
        way = _certain(bench, node, base, base.values[logits].shape)
        if way is None:
            continue
        feeds[logits] = np.where(way > 0.0, -_LOGIT, _OTHER).astype(np.float32)
        trace = _run(bench, feeds)
        if trace is None:
            continue
        # Other terms may bring the logits a gradient.
        slopes = lab.pull(lab.upto(node), node, trace.sample, [logits], np.ones_like)
        found = (slopes or {}).get(logits)
        if found is None:
            continue
        if found.any():
            return Outcome(Verdict.REFUTED, "sure and wrong logits get a gradient")
        value = _mean(trace.values[node])
        evidence = witness.seen(
            template,
            trace.sample,
            f"sure and wrong predictions, of loss {value:.3g}, get a gradient of exactly 0",
            value=value,
            gradient=0.0,
            hazard=Hazard.ZERO_GRADIENT,
        )
        return Outcome(Verdict.CONFIRMED, None, evidence)
    return Outcome(Verdict.UNCONFIRMED, "no labels were found that say what a wrong prediction is")


def check_constant(bench: Bench, suspect: Suspect) -> Outcome:
    """Show that a node has the same value on all samples, though what goes in differs."""
    lab, node = bench.lab, suspect.node
    traces = bench.traces(0, "typical")
    if not traces:
        return Outcome(Verdict.UNCONFIRMED, "no sample met the conditions of this path")
    value = float(traces[0].values[node].flat[0])
    for trace in traces:
        found = np.abs(trace.values[node] - value)
        if not np.isfinite(found).all() or found.max() > _CONSTANT:
            return Outcome(Verdict.REFUTED, "its value changes with its operands")
    template = bench.templates[0]
    rng = samples.generator(bench.job, 22)
    feeds = _rounded(template, rng, 0)
    shown = _run(bench, feeds)
    if shown is None:
        return Outcome(Verdict.UNCONFIRMED, "no sample met the conditions of this path")
    activation = lab.steps[node].op == "softmax"
    evidence = witness.seen(
        template,
        shown.sample,
        f"the value is {abs(value):.3g}, as for all other logits",
        value=witness.plain(value),
        gradient=witness.worst(lab.local(node, shown, None)[1].values()),
        hazard=Hazard.ZERO_GRADIENT if activation else Hazard.WRONG_LOSS,
        samples=len(traces),
    )
    return Outcome(Verdict.CONFIRMED, None, evidence)


def _labels(bench: Bench, node: int) -> int:
    """Return the operand of a cross-entropy that holds the labels: the first one."""
    return next((arg.node for _, arg in bench.lab.steps[node].args if isinstance(arg, Ref)), -1)


def _labelled(bench: Bench, node: int, template: Template, rng: np.random.Generator) -> Feeds:
    """Draw a small batch in which a placeholder for labels holds one-hot rows."""
    feeds = _rounded(template, rng, 0)
    labels = _labels(bench, node)
    for slot in template.slots:
        size = slot.size(_ROWS)
        if slot.id == labels and slot.encoding is Encoding.REAL and size and size[-1] > 1:
            ids = rng.integers(0, size[-1], size[:-1])
            feeds[slot.id] = np.asarray(np.eye(size[-1])[ids], slot.dtype)
    return feeds


def _certain(bench: Bench, node: int, base: Trace, shape: tuple[int, ...]) -> Array | None:
    """Return -1 and 1 as right logits for the labels that an op is given."""
    value = base.values.get(_labels(bench, node))
    if value is None or not shape:
        return None
    if value.shape != shape:
        ids = value[..., 0] if value.shape == (*shape[:-1], 1) else value
        if ids.shape != shape[:-1] or shape[-1] < 2 or ids.min() < 0 or ids.max() >= shape[-1]:
            return None
        value = np.eye(shape[-1])[ids.astype(int)]
    if not floating(np.asarray(value)) or value.min() < 0.0 or value.max() > 1.0:
        return None
    return np.asarray(2.0 * value - 1.0)


# ---- right and wrong predictions -------------------------------------------------------------


def _pairs(bench: Bench, template: Template) -> Iterator[tuple[Feeds, Feeds, Slot]]:
    """Yield batches with the same labels that differ in one prediction: right, and wrong."""
    rng = samples.generator(bench.job, 20)
    base = _rounded(template, rng, 0)
    for slot in template.differentiated:
        if slot.encoding in {Encoding.CLASS, Encoding.PARAMETER}:
            continue
        right = _right(template, slot, base)
        if right is None:
            right = base[slot.id]
            other = _rounded(template, rng, 1)[slot.id]
        else:
            other = np.round(1.0 - right, 2) if slot.encoding is Encoding.UNIT else -right
        first = {**base, slot.id: samples.clip(right, slot)}
        yield first, {**base, slot.id: samples.clip(other, slot)}, slot


def _rounded(template: Template, rng: np.random.Generator, index: int) -> Feeds:
    """Draw a small batch with numbers that can be read."""
    return {
        slot.id: np.asarray(np.round(samples.typical(slot, rng, index, _ROWS), 2), slot.dtype)
        for slot in template.slots
    }


def _right(template: Template, slot: Slot, base: Feeds) -> Array | None:
    """Return the prediction that fits the labels, or None if no label has its shape."""
    fixed = (InputRole.LABEL, InputRole.DATA)
    for label in template.slots:
        if label.spec.role not in fixed or label.shape != slot.shape:
            continue
        value = base[label.id].astype(np.float64)
        if label.encoding in {Encoding.ONE_HOT, Encoding.BINARY} or (
            value.min() >= 0.0 and value.max() <= 1.0
        ):
            if slot.encoding is Encoding.UNIT:
                return np.round(np.clip(value, 1.0 - _SURE, _SURE), 2)
            return np.asarray(_LOGIT * (2.0 * value - 1.0))
    return None


def _crossed(feeds: Feeds, label: Slot, prediction: Slot) -> Feeds:
    return {**feeds, label.id: feeds[prediction.id], prediction.id: feeds[label.id]}


# ---- runs ------------------------------------------------------------------------------------


def _run(bench: Bench, feeds: Feeds, watch: int | None = None) -> Trace | None:
    """Trace one batch; None if TensorFlow refuses it or the path's conditions do not hold."""
    try:
        trace = bench.lab.trace(
            Sample(feeds, Reach.TYPICAL, ""), watch=None if watch is None else (watch,)
        )
    # Labels in the place of predictions may be what an op refuses, each in its own way.
    except Exception:
        return None
    return trace if bool(bench.lab.holds(trace.values).all()) else None


def _handed(bench: Bench, node: int, trace: Trace, operand: int) -> Array | None:
    """Return the gradient that an op alone hands to an operand; None if it is not finite."""
    _, cotangents = bench.lab.local(node, trace, None)
    found = cotangents.get(operand)
    return None if found is None or not np.isfinite(found).all() else found


def _cotangent(trace: Trace, node: int) -> Array | None:
    found = trace.cotangents.get(node)
    return None if found is None or not np.isfinite(found).all() else found


def _turns(  # noqa: PLR0917  # an op, its two operands, two runs
    bench: Bench, node: int, first: int, second: int, right: Trace, wrong: Trace
) -> bool:
    """Tell whether the op in its proper order tells right from wrong by its gradient."""
    found: list[Array | None] = []
    for trace in (right, wrong):
        feeds = {first: trace.values[second], second: trace.values[first]}
        plain = {
            ref: trace.plain[ref] for ref in bench.lab.operands[node]
            if ref not in feeds and ref in trace.plain
        }  # fmt: skip
        for ref in bench.lab.operands[node]:
            if ref not in feeds and ref not in plain:
                feeds[ref] = trace.values[ref]
        try:
            run = bench.lab.trace(
                Sample(feeds, Reach.TYPICAL, ""), program=bench.lab.alone(node), watch=(second,),
                output=node, plain=plain,
            )  # fmt: skip
        # As in `_run`.
        except Exception:
            return False
        found.append(_cotangent(run, second))
    return _moves(found)


def _moves(gradients: list[Array | None]) -> bool:
    """Tell whether there are two gradients, and whether they differ."""
    first, second = gradients
    return first is not None and second is not None and not _same(first, second)


def _same(first: Array, second: Array) -> bool:
    size = max(float(np.abs(first).max()), float(np.abs(second).max()), 1e-12)
    return bool(np.abs(first - second).max() <= _DIFFERS * size)


def _near(first: float, second: float) -> bool:
    return abs(first - second) <= 1e-3 * max(abs(first), abs(second), 1e-3)


def _mean(value: Array) -> float:
    return witness.plain(np.float32(np.mean(value)))


def _flat(value: Array) -> list[float]:
    return [witness.plain(item) for item in np.asarray(value).reshape(-1)]
