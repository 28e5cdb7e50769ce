"""What a program promises of its inputs: by assertions, refusals and the words of docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from actlint.graph import Arg, Ref
from actlint.lower.bounds import Bound
from actlint.lower.limits import Unlowerable
from actlint.lower.machine import Machine
from actlint.lower.values import Function, Scope, Static, TensorValue, Value, is_number
from actlint.names import last

# A number that has to be greater than another is not taken to be nearer to it than this.
_NEAR = 1e-6

_ORDERS: dict[type[cst.BaseCompOp], str] = {
    cst.LessThan: "less",
    cst.LessThanEqual: "less_equal",
    cst.GreaterThan: "greater",
    cst.GreaterThanEqual: "greater_equal",
}
_MIRRORED = {
    "less": "greater", "less_equal": "greater_equal", "greater": "less",
    "greater_equal": "less_equal",
}  # fmt: skip
_NEGATED = {
    "less": "greater_equal", "less_equal": "greater", "greater": "less_equal",
    "greater_equal": "less",
}  # fmt: skip
# Functions of TensorFlow that stop a program, and what they demand of their operands.
_ASSERTIONS = {
    "assert_positive": ("greater", 0.0),
    "assert_non_negative": ("greater_equal", 0.0),
    "assert_negative": ("less", 0.0),
    "assert_non_positive": ("less_equal", 0.0),
    "assert_greater": ("greater", None),
    "assert_greater_equal": ("greater_equal", None),
    "assert_less": ("less", None),
    "assert_less_equal": ("less_equal", None),
}
# What hands elements on as they are, and extremes: what holds of them holds of all elements.
_HANDING = frozenset({"cast", "convert_to_tensor", "identity", "reshape", "stop_gradient"})
_LEAST = _HANDING | {"reduce_min"}
_LARGEST = _HANDING | {"reduce_max"}

_PARAGRAPHS = (
    # :param float a: text
    r":param(?:eter)?\s+(?:[\w\[\], ]+\s+)?{name}\s*:(?P<text>.*(?:\n[ \t]*[^:\s].*)*)",
    # a (float): text; more of it is indented, as is all that NumPy's style says
    r"^(?P<indent>[ \t]*)(?:[-*][ \t]+)?[`*]*{name}[`*]*[ \t]*(?:\([^)\n]*\))?[ \t]*:"
    r"(?P<text>.*(?:\n(?P=indent)[ \t]+\S.*)*)",
)
_ZERO, _ONE = (rf"(?<![-\w.]){digit}(?:\.0*)?(?![\d.])" for digit in "01")
_POSITIVE = re.compile(
    r"(?:(?:must|should|has to|have to|needs? to) be )?(?<![-\w])"
    r"(?:strictly positive|positive,? (?:and )?non-?zero|non-?zero,? (?:and )?positive)\b|"
    r"(?:must|should|has to|have to|needs? to) be positive\b|"
    r"(?<![-\w])positive(?= (?:real|float|number|scalar|`*tensor|value))"
)
_NON_NEGATIVE = re.compile(r"(?<![-\w])non-?negative\b")
_SHARE = re.compile(
    r"\b(?:in|between|within|range)(?: the)?(?: (?:range|interval)(?: of)?)? ?"
    rf"[\[(] ?{_ZERO} ?, ?{_ONE} ?[\])]|\bbetween {_ZERO} and {_ONE}"
)
_FLAG = re.compile(rf"\{{ ?{_ZERO} ?, ?{_ONE} ?\}}|{_ZERO} or {_ONE}|{_ONE} or {_ZERO}")
# All that a description says: 1 if this, 0 otherwise.
_CASES = re.compile(
    r"(?P<first>[01])(?:\.0*)? (?:if|for|when)\b[^\d.;]*[, ](?!(?P=first))[01](?:\.0*)? "
    r"(?:if|for|when|otherwise|else)\b[^\d]*"
)
_KINDS: tuple[tuple[re.Pattern[str], tuple[float, float | None]], ...] = (
    (_SHARE, (0.0, 1.0)),
    (_FLAG, (0.0, 1.0)),
    (_POSITIVE, (_NEAR, None)),
    (_NON_NEGATIVE, (0.0, None)),
)
_SHAPE = re.compile(r"(?<=\bshape)[ :=]*`*[\[(][^\[\]()]*[\])]`*")
# Ends of clauses, other than in an interval or a number.
_CLAUSES = re.compile(r"[,;.](?= |$)(?! ?[\d.]+ ?[\])}])| \((?! ?\d[\d.]* ?,)|\)(?= |$)(?<!\d\))")
_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|cannot|without|unless|instead|rather|except|unlike|"
    r"non(?! ?-?(?:negative|zero)))\b|n't\b"
)
# What comes behind these is said of something else, or of another time.
_ELSEWHERE = re.compile(
    r"\b(?:which|that|whose|who|where|when|after|before|once|then|until|while|if|so|because|as|"
    r"whereas|below|above|otherwise|except|but|default|defaults)\b"
)
# With one of these before it, words are not about the values of the parameter themselves.
_OTHERS = re.compile(
    r"\b(?:is|are|was|were|gets?|becomes?|lies|into|to|by|at|its|their)\b|"
    r"(?<!tensor)(?<!tensors)(?<!array)(?<!batch)(?<!vector)(?<!matrix)(?<!list)(?<!values)"
    r"(?<!sequence) of (?!shape\b|type\b)"
)
_NOUN = (
    r" `*(?:real |float |scalar )?(?:labels?|masks?|tensors?|arrays?|values?|floats?|numbers?|"
    r"scalars?|reals?|weights?|vectors?|targets?|ints?|integers?)`*"
)
_BEHIND = re.compile(
    rf"(?:{_NOUN})?(?: ?\)| (?:of|per|with|representing|indicating|denoting|for each|for the) .*)?"
)
# All that stands before a limit in a clause that says nothing else.
_BEFORE = re.compile(
    r"(?:(?:must|should|has to|have to) (?:be|lie) |(?:with )?(?:an? |the )?(?:pixel |float )?"
    r"(?:`*tensors?`* of |values? ))?(?:always |varying )?(?:an? |either |one of )?"
)
_NUMBER_NEXT = re.compile(r"(?:or |and )?[-+]?\d|(?:or|and|if|unless|when)\b")
_MUST = re.compile(r"(?:must|should|has to|have to|needs? to) be\b")
_APPOSED = re.compile(rf"(?:{_NOUN})? ?\)?")


# ---- what stops a program ------------------------------------------------------------------------


def asserted(machine: Machine, scope: Scope, test: cst.BaseExpression) -> None:
    """Take it that what an ``assert`` asks for holds."""
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
        asserted(machine, scope, test.left)
        asserted(machine, scope, test.right)
    elif isinstance(test, cst.Comparison):
        left = test.left
        for target in test.comparisons:
            key = _ORDERS.get(type(target.operator))
            if key is not None:
                values = [machine.evaluate(machine, scope, e) for e in (left, target.comparator)]
                _hold(machine, key, values[0], values[1], test)
            left = target.comparator
    elif isinstance(test, cst.Call):
        value = machine.evaluate(machine, scope, test)
        if isinstance(value, TensorValue):
            _hold_node(machine, value.node)


def refused(machine: Machine, scope: Scope, test: cst.BaseExpression) -> None:
    """Take it that a comparison does not hold where the program raises an error."""
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
        return
    target = test.comparisons[0]
    key = _ORDERS.get(type(target.operator))
    plain = (cst.Name, cst.Attribute, cst.BaseNumber, cst.UnaryOperation)
    if key is None or not all(isinstance(e, plain) for e in (test.left, target.comparator)):
        return
    values = [machine.evaluate(machine, scope, e) for e in (test.left, target.comparator)]
    _hold(machine, _NEGATED[key], values[0], values[1], test)


def assertion(
    machine: Machine, qualified: str, args: list[Value], keywords: dict[str, Value], at: cst.CSTNode
) -> Value | None:
    """Take it that what an assertion of TensorFlow's demands holds; None if a call is none."""
    name = last(qualified)
    given = dict(zip(("x", "y"), args, strict=False)) | keywords
    if name in {"Assert", "assert_true"} and args and isinstance(args[0], TensorValue):
        _hold_node(machine, args[0].node)
        return Static(None)
    if name not in _ASSERTIONS or "x" not in given:
        return None
    key, number = _ASSERTIONS[name]
    other = given.get("y") if number is None else Static(number)
    if other is not None:
        _hold(machine, key, given["x"], other, at)
    return Static(None)


def _hold(machine: Machine, key: str, left: Value, right: Value, at: cst.CSTNode) -> None:
    """Take it that ``left key right`` holds of all elements."""
    sides = _operand(left), _operand(right)
    if sides[0] is None or sides[1] is None or _limit(machine, key, sides[0], sides[1]):
        return
    if any(isinstance(v, TensorValue) and not machine.is_plain(v.node) for v in (left, right)):
        try:
            found = machine.emit_key(key, (left, right), at)
        except Unlowerable:
            return
        if isinstance(found, TensorValue):
            machine.assumptions.append((found.node, True))


def _hold_node(machine: Machine, condition: int) -> None:
    """Take it that a condition holds that is a value of the graph."""
    node = machine.nodes[condition]
    if node.op in {"logical_and", "reduce_all"}:
        for operand in node.operands:
            _hold_node(machine, operand)
    elif node.op in _MIRRORED:
        left, right = node.arg("x"), node.arg("y")
        if not _limit(machine, node.op, left, right):
            machine.assumptions.append((condition, True))


def _operand(value: Value) -> Arg:
    if isinstance(value, TensorValue):
        return Ref(value.node)
    if isinstance(value, Static) and is_number(value.value) and not isinstance(value.value, bool):
        return float(value.value)  # type: ignore[arg-type]  # as is_number says
    return None


def _limit(machine: Machine, key: str, left: Arg, right: Arg) -> bool:
    """Note a limit of a free input; tell whether the comparison says no more than that."""
    if isinstance(left, (int, float)) and isinstance(right, Ref):
        left, right, key = right, left, _MIRRORED[key]
    if not isinstance(left, Ref) or not isinstance(right, (int, float)):
        return False
    below = key in {"greater", "greater_equal"}
    node = machine.nodes[left.node]
    while node.op in (_LEAST if below else _LARGEST) and node.operands:
        node = machine.nodes[node.operands[0]]
    if node.input is None:
        return False
    near = _NEAR * max(abs(right), 1.0) if key in {"greater", "less"} else 0.0
    limits = (right + near, None) if below else (None, right - near)
    machine.bounds.append(Bound(node.id, *limits))
    return True


# ---- what is written ---------------------------------------------------------------------------


def documented(machine: Machine, scope: Scope, function: Function) -> None:
    """Note what the docstring of a function says of the values of its parameters."""
    text = function.node.get_docstring() if isinstance(function.node, cst.FunctionDef) else None
    if not text:
        return
    for name, value in scope.variables.items():
        if isinstance(value, TensorValue) and machine.nodes[value.node].input is not None:
            limits = next(filter(None, map(_limits, _said(text, name))), None)
            if limits is not None:
                machine.bounds.append(Bound(value.node, *limits, whole=True))


def _said(text: str, name: str) -> Iterator[str]:
    """Yield what a docstring says of a parameter, in small letters and on one line."""
    for pattern in _PARAGRAPHS:
        found = re.search(pattern.format(name=re.escape(name)), text, re.MULTILINE)
        if found is not None:
            yield " ".join(found["text"].lower().split())


def _limits(said: str) -> tuple[float, float | None] | None:
    """Return the limits that the head of a description gives; None in doubt.

    The head is the first clause up to words that lead elsewhere; a second clause counts if a limit
    is all that it says, as in "shares, between 0 and 1", and a later one if it demands it.
    """
    sentences = re.split(r"\.(?= |$)", _SHAPE.sub("", said.strip()))
    if any(_CASES.fullmatch(sentence.strip()) for sentence in sentences[:2]):
        return (0.0, 1.0)
    if _NEGATION.search(sentences[0]):
        return None
    clauses = [clause.strip() for clause in _CLAUSES.split(_SHAPE.sub("", said.strip()))]
    head = _ELSEWHERE.split(clauses[0], maxsplit=1)[0].rstrip()
    if head != clauses[0] or re.search(r"\d$", head):
        return _stated(head, _BEHIND) if not _goes_on(clauses, 0) else None
    for at, clause in enumerate(clauses):
        if at > 1 and not _MUST.match(clause):
            continue
        limits = _stated(clause, _APPOSED, _BEFORE) if at else _stated(clause, _BEHIND)
        if limits is not None:
            return None if _goes_on(clauses, at) else limits
    return None


def _goes_on(clauses: list[str], at: int) -> bool:
    """Tell whether the clause behind another names more values, or conditions."""
    return at + 1 < len(clauses) and _NUMBER_NEXT.match(clauses[at + 1]) is not None


def _stated(
    clause: str, behind: re.Pattern[str], before: re.Pattern[str] | None = None
) -> tuple[float, float | None] | None:
    """Return the limits that a clause gives, if what stands around the words for them fits."""
    for kind, limits in _KINDS:
        found = kind.search(clause)
        if found is None:
            continue
        lead, rest = clause[: found.start()], clause[found.end() :]
        fits = not _OTHERS.search(lead) if before is None else before.fullmatch(lead)
        return limits if fits and behind.fullmatch(rest) else None
    return None
