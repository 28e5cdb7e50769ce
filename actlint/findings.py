"""Suspects, checks, evidence and findings: what rules raise and the worker answers.

Standard library only, because the worker shares this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from actlint.graph import Role, Site, Span, place


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Verdict(StrEnum):
    """What the worker found out; see CONTRACT."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNCONFIRMED = "unconfirmed"


class Hazard(StrEnum):
    """What goes wrong."""

    NAN = "nan"
    INF = "inf"
    ZERO_GRADIENT = "zero-gradient"
    NO_GRADIENT = "no-gradient"
    VANISHING = "vanishing"
    EXPLODING = "exploding"
    NON_MONOTONIC = "non-monotonic"
    DISCONTINUOUS = "discontinuous"
    WRONG_GRADIENT = "wrong-gradient"
    WRONG_LOSS = "wrong-loss"
    INACCURATE = "inaccurate"
    MIXED_SAMPLES = "mixed-samples"
    FROZEN = "frozen"


class Reach(StrEnum):
    """How training gets to a witness."""

    TYPICAL = "typical"  # standard normal pre-activations, usual labels and probabilities
    STRUCTURAL = "structural"  # exact values training produces: 0, equal arguments, saturation
    EXTENDED = "extended"  # magnitudes passed through before divergence (hundreds)


class Relation(StrEnum):
    """How exact numbers, which a hazard needs, stand to each other."""

    ALONE = "alone"  # each has a value of its own, such as 0
    EQUAL = "equal"  # they equal each other, whatever their value
    CROSSING = "crossing"  # one number that they make, such as their sum, is between two signs


class Check(StrEnum):
    """What the worker is asked to show about a suspect's node."""

    # The node's value, or the cotangent it hands to an operand, is nan or infinite while its
    # operands and its own upstream cotangent are finite, and the hazard reaches the value of
    # the output or the gradient of a differentiated input.
    NONFINITE = "nonfinite"
    # The node's operand depends on a differentiated input and its result moves the output,
    # yet no gradient (None or exact zeros on all samples) comes back through the node.
    CUT = "cut"
    # The output's gradient with respect to every differentiated input is None, or exactly
    # zero on all samples.
    NO_GRADIENT = "no-gradient"
    # The node passes exact zeros for at least `threshold` of the typical elements whose
    # upstream cotangent is not zero.
    DEAD_SHARE = "dead-share"
    # Shape of an activation, or of a part of it, along a line: gradient below 1e-3 on at least
    # `threshold` of the typical range.
    SATURATION = "saturation"
    # The gradient changes sign on the typical range, and the function is not of the accepted
    # smooth shape of swish, gelu and mish.
    MONOTONICITY = "monotonicity"
    # The value jumps between neighbouring floats.
    CONTINUITY = "continuity"
    # Value and slope are the same along the whole line.
    CONSTANT = "constant"
    # A plain network of the activation loses its gradient at every scaling of the input: the gain
    # per layer, see worker/gain.py, stays below `threshold`.
    GAIN_LOSS = "gain-loss"
    # A plain network of the activation blows its gradient up: lengths grow from layer to layer
    # with at least the power `threshold`, and the gain is above 1.
    GAIN_GROWTH = "gain-growth"
    # The node's slope, with respect to the operand that the first target names, is below a
    # thousandth of its largest on at least `threshold` of the typical elements.
    STEEPNESS = "steepness"
    # The node's values stay in a band narrower than `threshold` on all samples.
    SQUEEZED = "squeezed"
    # The node's values on typical samples differ by less than the factor `threshold`.
    UNIFORM = "uniform"
    # The product that the node is underflows to 0, with a gradient of zeros, once it has as many
    # typical elements as a batch or a sequence has; with `threshold` 1, as a row has.
    UNDERFLOW = "underflow"
    # Moving the prediction along the negative gradient does not bring it nearer the label, or
    # the loss is not smallest at the target.
    MINIMUM = "minimum"
    # The gradient that a tf.custom_gradient function gives differs, where its value is smooth and
    # not flat, from finite differences of the value.
    CUSTOM_GRADIENT = "custom-gradient"
    # A sum of a step, of what stands in for it and of stop_gradient has another value than the
    # step (first target), or another slope than 1 with respect to the stand-in (second target).
    STRAIGHT_THROUGH = "straight-through"
    # The node's value in float32 is off by a tenth or more from what float64 gives for the same
    # inputs although its operands are accurate, and so is, for that reason, the gradient that
    # training takes (of activations and layers: or the output).
    PRECISION = "precision"
    # The node's value is nan although no operand is (infinities may be), and the nan reaches the
    # value of the output or the gradient of a differentiated input.
    INDETERMINATE = "indeterminate"
    # The gradient of a cross-entropy is the same for right and wrong predictions, because they
    # stand in the place of the labels; the targets name the operands in both places.
    EXCHANGED = "exchanged"
    # Called with its arguments exchanged, as Keras does, the loss is another one.
    SIGNATURE = "signature"
    # A cross-entropy behind a sigmoid or softmax, which the target names, stays far above 0 for
    # certain and right predictions, and does not without that activation.
    FLOOR = "floor"
    # A cross-entropy of logits stays far above 0 where the prediction, which the target names, is
    # the probability that agrees with the label.
    SHARES = "shares"
    # A cross-entropy gives sure and wrong logits, which the target names, no gradient at all.
    STUCK = "stuck"
    # The node has one value, whatever its operands are.
    SINGLE_VALUE = "single-value"
    # The suspect's node, a mended version of the output, has the output's values and gradients
    # wherever those are finite, and is finite at the job's witness.
    AGREES = "agrees"
    # The node combines one value per sample, (N,), with one per row, (N, 1), to (N, N); with
    # `threshold` 1, labels and predictions are fed as columns, as Keras does with a single unit.
    BROADCAST = "broadcast"
    # The sign of the gradient leads typical predictions neither to the label nor to a loss as
    # small as there, and the node is where the gradient is lost; or it leads to the opposite.
    DESCENT = "descent"
    # A sample's value of the node changes with the other samples of the batch, the output
    # mixes samples, and does not if the targets run along the last axis instead of the first.
    OTHER_SAMPLES = "other-samples"
    # The node, a term of a sum, has the same value on all samples although its operands move.
    CONTRIBUTION = "contribution"
    # The node's mean doubles (with `threshold` 1: at least), and the output changes, with every
    # sample repeated.
    BATCH_SIZE = "batch-size"
    # The cotangent of the node, an error of a prediction, is the same whatever the labels are.
    LABEL_FREE = "label-free"
    # The output has the same shape, of several numbers, however many samples the node runs over.
    LOST_BATCH = "lost-batch"
    OWN_SAMPLES = "own-samples"
    # Typical samples get no gradient where the loss is largest, and that of others has no least
    # value.
    HINGE = "hinge"
    # Predictions against labels of -1 and 1 cost nothing and get no gradient, right ones cost more.
    MARGIN = "margin"
    # In the job's reduced dtype, the node's value or a cotangent that it hands to an operand is nan
    # or infinite as for NONFINITE, and in float32 the same run is finite; with `threshold` 1, it is
    # finite with a larger epsilon, too.
    HALF = "half"
    # The gradient is another one if the node, the label of a loss, is held fixed; the target names
    # the operand in the prediction's place, of which the label is no line.
    HELD_LABEL = "held-label"
    # The program runs with batches of one size only, which follows from `threshold`, the number of
    # rows that the node has whatever goes in.
    FIXED_BATCH = "fixed-batch"
    # With the fraction that the node, a cast or an integer division, cuts off, the output is
    # another one; `threshold` is the quotient of a division of constants.
    TRUNCATION = "truncation"
    # The node, a random number of NumPy's, differs from call to call in eager mode, and with it the
    # output, but not under tf.function.
    FROZEN_DRAW = "frozen-draw"
    # The node, a number that Python holds, moves the output in eager mode, but not under
    # tf.function once that has traced.
    FROZEN_STATE = "frozen-state"
    # A nan in the free inputs that the targets name makes the output or the gradient that training
    # takes nan; without it both are finite.
    MISSING_DATA = "missing-data"
    # Up to `threshold` the loss is the same for errors of both signs; beyond it, it goes on evenly
    # on one side and otherwise on the other.
    ONE_SIDED = "one-sided"


# Checks of hazards that some values bring and others do not: what cannot be given is no hazard.
OF_VALUES = frozenset({Check.INDETERMINATE, Check.NONFINITE, Check.PRECISION})


@dataclass(frozen=True, slots=True)
class Target:
    """Where to aim: make `node` take a value in [lo, hi].

    `vector` asks for all elements of the node at once ("zero-vector": all zero;
    "constant-vector": all equal), otherwise one element is enough.
    """

    node: int
    lo: float
    hi: float
    vector: str = ""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A node that a rule distrusts, and what would prove it right."""

    code: str
    node: int
    message: str  # one sentence that names the expression and the cause, no full stop
    check: Check
    targets: tuple[Target, ...] = ()
    threshold: float = 0.0
    severity: Severity = Severity.ERROR
    # Meaningless without proof: not reported, not counted, unless the worker confirms it.
    provisional: bool = False
    hint: str = ""  # how to mend it here, if more apt than the rule's own sentence
    # The source guards against the very point, in vain: its author expects training to meet it.
    guarded: bool = False
    # It holds on a condition, which the message states and nobody can tell from the source.
    conditional: bool = False


# Nested lists of floats, as the witness of one input.
Number = float | int | bool
Tensor = Number | list["Tensor"]


def numbers(tensor: Tensor) -> Iterator[float]:
    """Yield the elements of nested lists, in order."""
    if isinstance(tensor, list):
        for item in tensor:
            yield from numbers(item)
    else:
        yield float(tensor)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured. `witness` maps input names to values that anyone can paste."""

    hazard: Hazard
    witness: dict[str, Tensor]
    # Output at the witness: the worst element. With nan and infinity, detail["value_of"] says
    # "output", or "expression" if the suspect's own value is not finite but the output is.
    value: float | None
    gradient: float | None  # gradient at the witness: the worst element; None if there is none
    mode: str  # eager, graph or xla
    samples: int  # how many sample points or batches were looked at
    hits: int  # how many of them showed the hazard
    rate: float | None  # chance per element under a standard normal, of an isolated point
    reach: Reach
    detail: dict[str, float | str | list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The worker's answer to one suspect."""

    verdict: Verdict
    reason: str | None = None  # one sentence; always given unless confirmed
    evidence: Evidence | None = None


class Safety(StrEnum):
    """What applying a fix can do to the rest of a program."""

    SAFE = "safe"  # values and gradients stay where they were finite
    UNSAFE = "unsafe"  # values or gradients move elsewhere, too


@dataclass(frozen=True, slots=True)
class Edit:
    """Text that takes the place of a span; an empty span is where it is inserted."""

    path: str
    span: Span
    content: str
    cell: int | None = None  # of a notebook, in reports: where the span counts its lines

    @property
    def place(self) -> str:
        """The file, with the cell if it is a notebook."""
        return place(self.path, self.cell)


@dataclass(frozen=True, slots=True)
class Proof:
    """What TensorFlow measured of the mended program before its fix was offered.

    The mended source was lowered anew, the hazard did not show at the witness nor in any check,
    and no check found one that was not there before.
    """

    value: float | None  # mended output at the finding's witness: the worst element
    gradient: float | None  # mended gradient there; None if nothing is differentiated
    modes: str  # in which it was run there
    compared: int  # numbers, values and gradients, that were finite before
    value_difference: float  # largest among those, in terms of max(1, magnitude)
    gradient_difference: float
    agrees: bool  # no difference exceeds what float32 rounding explains


@dataclass(frozen=True, slots=True)
class Fix:
    """A proved way to mend a finding."""

    title: str  # in the imperative, no full stop
    safety: Safety
    reason: str  # why it is safe, or what changes, one sentence without full stop
    edits: tuple[Edit, ...]  # they do not overlap, and are applied together
    proof: Proof


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; fields as in the JSON contract."""

    code: str
    name: str
    severity: Severity
    site: Site
    trail: tuple[Site, ...]  # call sites through which the expression was reached, outermost first
    function: str
    role: Role
    message: str
    hint: str  # how to mend it, one sentence
    verdict: Verdict
    reason: str | None
    evidence: Evidence | None
    repro: str | None
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True, slots=True)
class FileError:
    """A file, or a part of one, that could not be linted, and why."""

    path: str
    line: int
    message: str
    cell: int | None = None  # of a notebook: where `line` counts; None for the file as a whole

    @property
    def place(self) -> str:
        """The file, with the cell if there is one."""
        return place(self.path, self.cell)


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts at the end of a report."""

    files: int = 0
    functions: int = 0
    skipped: int = 0  # functions left out because they compute too much to be followed
    suspects: int = 0
    confirmed: int = 0
    refuted: int = 0
    unconfirmed: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """How the findings were made."""

    seed: int
    samples: int
    confirm: bool
    tensorflow: str | None
    sandbox: str


@dataclass(frozen=True, slots=True)
class Result:
    """Everything a report shows; findings are sorted by path, cell, line, column, code."""

    run: Run
    findings: tuple[Finding, ...]
    errors: tuple[FileError, ...]
    summary: Summary
