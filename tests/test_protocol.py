"""Records between the main process and the worker."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actlint.findings import Check, Evidence, Hazard, Outcome, Reach, Suspect, Target, Verdict
from actlint.graph import Arg, Dots, DType, Input, InputRole, Items, Ref, Role, Slice
from actlint.worker.protocol import (
    Answer,
    Failed,
    Instruction,
    Job,
    ProtocolError,
    Ready,
    decode,
    encode,
)

X = Input("x", InputRole.ACTIVATION, True, -math.inf, 1000.0, (None, 3), default=0.5)
JOB = Job(
    7, "f", Role.LOSS, (Instruction(0, "", (), X), Instruction(4, "log", (("x", Ref(0)),))), 4,
    ((0, True),), (Suspect("ACT102", 4, "m", Check.CUT, (Target(0, 0.0, 1.0, "zero-vector"),)),),
    0, 64,
)  # fmt: skip
EVIDENCE = Evidence(
    Hazard.NAN, {"x": [[1.0], [2]], "y": True}, math.inf, None, "xla", 9, 1, 2e-8, Reach.TYPICAL,
    {"points": [0.5], "share": 0.25, "note": "ü"},
)  # fmt: skip
ANSWER = Answer(7, (Outcome(Verdict.CONFIRMED, None, EVIDENCE), Outcome(Verdict.REFUTED, "no")))

operands = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.builds(Ref, st.integers(0)) | st.builds(DType, st.text()) | st.just(Dots()),
    lambda inner: st.builds(lambda items: Items(tuple(items)), st.lists(inner))
    | st.builds(Slice, inner, inner, inner),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("record", [JOB, ANSWER, Ready("2.21.0", "none"), Failed("why")])
def test_records_survive_the_pipe(record: Job):
    line = encode(record)
    assert line.isascii()
    assert line.index("\n") == len(line) - 1
    assert decode(line) == record


@given(operands)
def test_operands_survive_the_pipe(operand: Arg):
    job = Job(0, "f", Role.GRAPH, (Instruction(0, "", (("a", operand),), value=operand),), 0, (),
              (), 0, 1)  # fmt: skip
    found = decode(encode(job))
    assert found == job
    # Equality does not tell 1 from 1.0 and True, but ops do.
    assert repr(found) == repr(job)


def test_nan_survives_the_pipe():
    found = decode(encode(Answer(1, (Outcome(Verdict.REFUTED, "r", Evidence(
        Hazard.NAN, {}, math.nan, None, "eager", 1, 1, None, Reach.TYPICAL)),))))  # fmt: skip
    assert isinstance(found, Answer)
    assert found.outcomes[0].evidence is not None
    assert math.isnan(found.outcomes[0].evidence.value or 0.0)


def changed(path: str, value: object) -> str:
    """Return JOB's line with one field replaced; "-" removes it."""
    message = json.loads(encode(JOB))
    *steps, last = (int(part) if part.isdigit() else part for part in path.split("."))
    place = message
    for step in steps:
        place = place[step]
    if value == "-":
        del place[last]
    else:
        place[last] = value
    return json.dumps(message)


@pytest.mark.parametrize(
    "line",
    [
        "", "{", "null", "[]", "1", '"job"', "{}", '{"kind": "job"}', "\x00\xff",
        '{"kind": "job", "body": []}', '{"kind": "nothing", "body": {}}',
        '{"kind": [], "body": {}}', "[" * 100_000,
        '{"kind": "ready", "body": {"tensorflow": 1, "sandbox": ""}}',
        changed("body.id", "7"), changed("body.id", True), changed("body.id", 1.0),
        changed("body.id", "-"), changed("body.extra", 1), changed("extra", 1),
        changed("body.role", "boss"), changed("body.role", []), changed("body.name", None),
        changed("body.instructions", {}), changed("body.instructions.0", None),
        changed("body.instructions.0.input.shape", [None, "3"]),
        changed("body.instructions.0.input.lo", "0"),
        changed("body.instructions.0.input.lo", 10**400),
        changed("body.instructions.0.value", []),
        changed("body.instructions.0.value", {"ref": "0"}),
        changed("body.instructions.0.value", {"ref": 0, "dtype": "int32"}),
        changed("body.instructions.0.value", {"slice": [None]}),
        changed("body.instructions.0.value", {"code": "import os"}),
        changed("body.instructions.1.args", [["x"]]),
        changed("body.assumptions", [[0, 1]]),
        changed("body.suspects.0.check", "whatever"),
    ],
)  # fmt: skip
def test_malformed_lines_are_a_clean_error(line: str):
    with pytest.raises(ProtocolError):
        decode(line)


def test_what_has_no_json_form_is_a_clean_error():
    with pytest.raises(ProtocolError, match="no place"):
        encode(Answer(1, (object(),)))  # type: ignore[arg-type]
