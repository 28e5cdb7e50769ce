"""The scene: which functions, methods and scripts of a file are worth lowering, and their roles.

How a thing is used decides before what it is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from actlint import entries
from actlint.changes import State
from actlint.dotted import bare
from actlint.entries import Kind
from actlint.graph import InputRole, Role, Site, Span
from actlint.index import Definition, FileIndex
from actlint.minimising import SINKS
from actlint.names import last, meanings
from actlint.parameters import PREDICTION, input_roles, label_like, parameter_like
from actlint.project import MARK, Project

_LOSS_NAME = re.compile(
    r"(^|_)(loss|losses|objective|cross_?entropy|crossentropy|cost|xent)($|_|\d)", re.IGNORECASE
)
_CAMEL_LOSS = re.compile(r"Loss($|[A-Z_])")
# A pair of these says "target and prediction" by itself; `x, y` or `inputs, mask` do not.
_STRONG_LABEL = re.compile(r"true|target|label|ground|^gts?$|^gt_|onehot|one_hot|^tgt$")
_STRONG_PREDICTION = re.compile(r"pred|logit|prob|output|hat|^pr$|^y_p$")
_METRIC_MODULE = re.compile(r"(^|_)metrics?($|_)")
_METRIC_NAME = re.compile(
    r"(^|_)(acc|accuracy|f1|f1_?score|fbeta|precision|recall|iou|score|metrics?|psnr|ssim|rmse|"
    r"top_k|in_top_k|dice|dice_coef\w*|jaccard\w*|coef\w*|sensitivity|specificity|auc|r2|r_square|mcc)($|_)"
)
# What a module of losses holds besides losses: the scores that they are made of.
_SCORE_NAME = re.compile(
    r"(^|_)(acc|accuracy|precision|recall|sensitivity|specificity|auc|f1|f1_?score|score|scores|"
    r"coeff?s?|coefficients?|index|iou|similarity|confusion|tp|tn|fp|fn|"
    r"(true|false)_(positive|negative)s?)($|_)"
)
_SUPPORT_MODULE = re.compile(r"(^|_)(utils?|helpers?|common|misc|ops)($|_)")
_ACTIVATION_NAME = re.compile(
    r"(^|_)(activation|activate|act_fn|relu\d?|elu|selu|gelu|swish|silu|mish|sigmoid|softplus|"
    r"softsign|tanh|lisht|hardswish|prelu|softmax)($|_\w*$|\d$)",
)
_REGULARIZER_NAME = re.compile(r"(^|_)(regularizer|regulariser|regularization)($|_)")
_ACTIVATION_MODULE = re.compile(r"(^|_)activations?($|_)")
_LOSS_MODULE = re.compile(r"(^|_)(loss(es)?|objectives?)($|_)")
_BUILDER = re.compile(r"^(get|build|make|create|load|parse|setup|register|serialize|deserialize)_?")
_NO_LOSS = re.compile(
    r"^_?(is|has|should|validate|check|update|reset|assert|plot|print|flatten|round|reshape|"
    r"gather|expand|squeeze|preprocess|prepare|parse|unpack|split|convert|show|draw|display|"
    r"visuali[sz]e|render|save|export|evaluate)_"
)
# What the argument of an activation is called.
_SIGNAL = re.compile(
    r"^(x|z|v|a|t|net|inputs?|tensors?|features?|incoming|hidden\w*|logits?|activations?|data|"
    r"arg|value|_?x_?|input_\w+)$"
)
_REGISTRATIONS = frozenset({"register_keras_serializable", "register_keras_custom_object"})

# Base classes of base classes beyond this are not followed.
_MAX_BASES = 8

# Calls that make a training step of a function.
# Calls that take no step unless a tape records.
_UNDER_TAPE = frozenset({"gradient", "add_loss"})
_TEST_FOLDERS = frozenset({"test", "tests"})
_STEPS = frozenset({"minimize", "apply_gradients", "compute_gradients"})

# The body of a function under the first is a value and its gradient; under the second it is a
# gradient alone.
_CUSTOM_GRADIENT = "custom_gradient"
_REGISTERED_GRADIENT = "RegisterGradient"


@dataclass(frozen=True, slots=True)
class Unit:
    """One thing to lower: a function, a method of a class, a lambda or the module's script."""

    path: str
    qualname: str  # "<module>" for the script, "<lambda:LINE:COL>" for an inline lambda
    role: Role
    evidence: str  # why the role is believed, in words
    # Roles of parameters by name; a parameter that is not named here keeps its default.
    inputs: tuple[tuple[str, InputRole], ...] = ()
    line: int = 1
    used: tuple[Site, ...] = ()  # where another file hands it to what trains it
    compiled: bool = False  # a loss that a Keras model calls, with the labels first
    aligned: bool = False  # a function, not a Loss object: Keras brings both to one rank first
    called: bool = False  # the project calls it, other than as the loss of a Keras model
    reads: bool = False  # the layers of models are read, for rules that ask for them
    compiles: bool = False  # what is minimised are the losses of the models that it compiles
    builds: bool = False  # what is looked at are the outputs of the models that it builds
    # What Python computes while TensorFlow traces is an input, for rules that ask for it; these
    # are such values that training changes.
    tracing: bool = False
    states: tuple[State, ...] = ()
    support: tuple[float, float] | None = None  # values of its inputs, if not all real numbers


@dataclass(frozen=True, slots=True)
class Given:
    """A role that another file gives to a definition, and where."""

    role: Role
    site: Site
    compiled: bool = False


# Roles that other files give to the definitions of one, by qualified name.
Incoming = Mapping[str, Given]
_ORDER = (
    Role.CUSTOM_GRADIENT,
    Role.METRIC,
    Role.LAYER,
    Role.ACTIVATION,
    Role.REGULARIZER,
    Role.LOSS,
)


def stronger(known: Role | None, role: Role) -> Role:
    """Return the role that counts of two: what serves as loss and as metric is trained on."""
    return role if known is None or _ORDER.index(role) > _ORDER.index(known) else known


def incoming(indexes: Iterable[FileIndex], project: Project) -> dict[str, dict[str, Given]]:
    """Return the roles that uses in other files give, by the path of the definition's file."""
    found: dict[str, dict[str, Given]] = {}
    for index in indexes:
        for use in index.uses:
            if use.name.partition(".")[0] not in index.imports and not index.stars:
                continue
            place = project.locate(use.name, index)
            if place is not None and place.index.path != index.path:
                roles = found.setdefault(place.index.path, {})
                known = roles.get(place.qualname)
                role = stronger(None if known is None else known.role, Role(use.role))
                compiled = use.compiled or (known is not None and known.compiled)
                if known is None or role is not known.role:
                    span = Span(use.line, 1, use.line, 1)
                    known = Given(role, Site(index.path, span, use.name))
                roles[place.qualname] = replace(known, compiled=compiled)
    return found


def units(
    index: FileIndex, project: Project | None = None, roles: Incoming | None = None
) -> tuple[Unit, ...]:
    """Return the units of a file, in order of their lines.

    Args:
        index: the file.
        project: where base classes in other files are found; the file alone if None.
        roles: what other files use its definitions for.
    """
    scene = _Scene(index, project or Project([index]), roles or {})
    found = sorted(scene.all(), key=lambda unit: (unit.line, unit.qualname))
    return tuple(found)


class _Scene:
    def __init__(self, index: FileIndex, project: Project, roles: Incoming) -> None:
        self.index = index
        self.project = project
        stem = PurePosixPath(index.path).stem
        parts = (*PurePosixPath(index.path).parts[:-1][-1:], stem)
        # The toys of a test have no role by their name alone.
        self.tests = stem.startswith("test_") or stem.endswith("_test")
        self.tested = (
            self.tests
            or stem == "conftest"
            or bool(_TEST_FOLDERS & set(PurePosixPath(index.path).parts[:-1]))
        )
        self.in_activations = any(_ACTIVATION_MODULE.search(p) for p in parts)
        self.in_losses = any(_LOSS_MODULE.search(p) for p in parts)
        self.supports = bool(_SUPPORT_MODULE.search(stem))
        self.in_metrics = any(_METRIC_MODULE.search(p) for p in parts)
        self._loss_callers: dict[str, set[str]] | None = None  # by the name that is called
        self.roles = self._roles_by_use()
        self.given = roles
        self.registered = {*index.registered, *project.registered(index)}
        self.compiled = {use.name for use in index.uses if use.compiled}
        self.compiled |= {name for name, given in roles.items() if given.compiled}
        for name, given in roles.items():
            self.roles[name] = stronger(self.roles.get(name), given.role)

    def all(self) -> Iterator[Unit]:
        for definition in self.index.definitions.values():
            unit = None
            if definition.kind in {"function", "lambda"}:
                unit = self._function(definition)
            elif definition.kind == "class":
                unit = self._inherited(definition)
            elif definition.kind == "assign":
                role = self.roles.get(definition.qualname)
                if role is not None and role is not Role.METRIC:
                    unit = self._unit(definition, role, f"passed on as {role}")
            if unit is not None:
                yield unit
        for use in self.index.uses:
            if use.name.startswith("<expression:") and use.role != Role.METRIC:
                yield Unit(
                    self.index.path,
                    use.name,
                    Role(use.role),
                    f"passed on as {use.role}",
                    line=use.line,
                    compiled=use.compiled,
                    aligned=use.compiled,
                )
        if self.index.script_sinks or self.project.minimises(self.index.script_calls, self.index):
            yield Unit(
                self.index.path,
                "<module>",
                Role.GRAPH,
                "minimised at module level",
                line=max(1, len(self.index.text.splitlines())),
            )

    def _handed_to_keras(self, definition: Definition) -> bool:
        """Tell whether a Keras model is compiled with the function or what makes it."""
        parts = bare(definition.qualname).replace(".<locals>", "").split(".")
        return any(".".join(parts[: end + 1]) in self.compiled for end in range(len(parts)))

    def _handed_as_method(self, definition: Definition) -> bool:
        """Tell whether a Keras model is compiled with a method of an object: ``loss=self.f``."""
        name = last(bare(definition.qualname))
        uses = (use.rpartition(".") for use in self.compiled)
        return self._owner(definition) is not None and any(
            method == name and base and base.partition(".")[0] not in self.index.imports
            for base, _, method in uses
        )

    def _called(self, definition: Definition) -> bool:
        """Tell whether the project calls the function, or what makes it, or hands it to others."""
        parts = bare(definition.qualname).replace(".<locals>", "").split(".")
        name = definition.qualname
        return any(
            part in self.roles or self.project.calls(part, self.index, name) for part in parts
        )

    def _roles_by_use(self) -> dict[str, Role]:
        roles: dict[str, Role] = {}
        for use in self.index.uses:
            for name in {use.name, last(use.name)}:
                roles[name] = stronger(roles.get(name), Role(use.role))
        return roles

    def _function(self, definition: Definition) -> Unit | None:
        owner = self._owner(definition)
        name = last(bare(definition.qualname))
        if any(last(d) == _REGISTERED_GRADIENT for d in definition.decorators):
            return None
        # What a test defines inside is made up for it; the name alone says that it evaluates.
        if any(part.lower().startswith("test") for part in definition.qualname.split(".")) and (
            self._is_test(definition) or not self._steps(definition, owner)
        ):
            return None
        if any(last(d) == _CUSTOM_GRADIENT for d in definition.decorators):
            return self._custom_gradient(definition)
        if owner is not None:
            unit = self._method(definition, owner)
            if unit is not None:
                return unit
        found = self._role(definition, name)
        if found is not None and found[0] is Role.CUSTOM_GRADIENT:
            return self._custom_gradient(definition)
        if found is not None and found[0] is Role.LOSS and not definition.calls & _STEPS:
            # A gradient penalty takes a gradient and is itself minimised elsewhere.
            return self._unit(definition, *found) if not self._closes(definition) else None
        if self._steps(definition, owner):
            return self._unit(definition, Role.TRAINING_STEP, "takes a gradient step")
        if owner is not None and self._kind(owner) is not None:
            return None
        if found is None:
            return None
        role, evidence = found
        if role is Role.METRIC or self._closes(definition):
            return None
        return self._unit(definition, role, evidence)

    def _is_test(self, definition: Definition) -> bool:
        """Tell whether a function, or what it stands in, is one of a file or class of tests."""
        parts = definition.qualname.split(".")
        owners = (self.index.definitions.get(".".join(parts[:n])) for n in range(1, len(parts)))
        return self.tested or any(
            last(base).endswith("TestCase")
            for owner in owners
            for base in (() if owner is None else owner.bases)
        )

    def _steps(self, definition: Definition, owner: Definition | None) -> bool:
        """Tell whether a function takes a gradient step, itself or by one that it calls."""
        calls = definition.calls
        return bool(
            (calls & SINKS and "GradientTape" in calls) or calls & (SINKS - _UNDER_TAPE)
        ) or self.project.minimises(calls, self.index, owner)

    def _custom_gradient(self, definition: Definition) -> Unit | None:
        """Return the unit of a function with a gradient of its own, unless it is a gradient."""
        outer = self.index.definitions.get(definition.qualname.rpartition(".<locals>.")[0])
        if outer is not None and any(last(d) == _CUSTOM_GRADIENT for d in outer.decorators):
            return None  # the gradient of a gradient
        return self._unit(definition, Role.CUSTOM_GRADIENT, "brings its own gradient")

    @staticmethod
    def _closes(definition: Definition) -> bool:
        """Tell whether a function returns a closure, which is found under its own name."""
        return any(last(nested) in definition.returns for nested in definition.nested)

    def _owner(self, definition: Definition) -> Definition | None:
        prefix, _, _ = definition.qualname.rpartition(".")
        owner = self.index.definitions.get(prefix)
        return owner if owner is not None and owner.kind == "class" else None

    def _kind(
        self, owner: Definition, index: FileIndex | None = None, depth: int = 0
    ) -> Kind | None:
        """Return what a class is by its base classes, in whatever file they are."""
        home = index or self.index
        for base in owner.bases:
            place = self.project.locate(base, home) if base and depth < _MAX_BASES else None
            if place is not None:
                kind = self._kind(place.index.definitions[place.qualname], place.index, depth + 1)
                if kind is not None:
                    return kind
            for meaning in meanings(home, base) or (base,):
                kind = entries.of_base(meaning)
                if kind is not None:
                    return kind
            kind = next(filter(None, map(entries.of_keras, self._outside(home, base))), None)
            if kind is not None:
                return kind
        return None

    def _outside(self, home: FileIndex, name: str) -> Iterator[str]:
        """Yield what a name of a file means in a library, also if another file imports it."""
        for meaning in meanings(home, name):
            path, mark, rest = self.project.absolute(meaning, home).partition(MARK)
            index = self.project.file(path) if mark and rest else None
            yield from (meaning,) if index is None else meanings(index, rest)

    def _inherited(self, owner: Definition) -> Unit | None:
        """Return the unit of a class that takes its entry method over from a base class."""
        kind = self._kind(owner)
        methods = () if kind is None else kind.methods
        if kind is None or any(f"{owner.qualname}.{m}" in self.index.definitions for m in methods):
            return None
        for place in self.project.lineage(owner.qualname, self.index):
            for method in methods:
                found = place.index.definitions.get(f"{place.qualname}.{method}")
                if found is not None:
                    inputs = tuple(input_roles(found, kind.role))
                    name = f"{owner.qualname}.{method}"
                    evidence = f"{method} inherited from {place.qualname}"
                    unit = Unit(self.index.path, name, kind.role, evidence, inputs, owner.line)
                    return replace(unit, support=kind.support)
        return None

    def _method(self, definition: Definition, owner: Definition) -> Unit | None:
        kind = self._kind(owner)
        name = last(bare(definition.qualname))
        if kind is None or name not in kind.methods:
            return None
        mine = (m for m in kind.methods if f"{owner.qualname}.{m}" in self.index.definitions)
        if name not in kind.entries(frozenset(mine)):
            return None
        shown = kind.name or kind.role.value
        article = "an" if shown[0] in "aeiou" else "a"
        unit = self._unit(definition, kind.role, f"{name} of {article} {shown} subclass")
        return replace(unit, support=kind.support)

    def _role(self, definition: Definition, name: str) -> tuple[Role, str] | None:
        used = self.roles.get(bare(definition.qualname)) or self.roles.get(name)
        if used is not None and self._fits(definition, used):
            return used, f"passed on as {used}"
        if definition.kind == "lambda" or ".<locals>." not in definition.qualname:
            outer = None
        else:
            outer = self.index.definitions.get(definition.qualname.rpartition(".<locals>.")[0])
        if outer is not None:
            if name not in outer.returns:
                return None
            inherited = self._role_of_factory(outer, definition)
            if inherited is not None:
                return inherited
        return self._role_by_name(definition, name)

    def _role_of_factory(
        self, outer: Definition, definition: Definition
    ) -> tuple[Role, str] | None:
        outer_name = last(bare(outer.qualname))
        used = self.roles.get(bare(outer.qualname)) or self.roles.get(outer_name)
        if used is not None and self._fits(definition, used):
            return used, f"returned by {outer_name}, which is passed on as {used}"
        if self.tests:
            return None
        if self._labelled(definition):
            if _METRIC_NAME.search(outer_name.lower()) and not _LOSS_NAME.search(outer_name):
                return Role.METRIC, "named like a metric"
            return Role.LOSS, f"returned by {outer_name} with target and prediction"
        if _LOSS_NAME.search(outer_name) and definition.required >= 2:
            return Role.LOSS, f"returned by {outer_name}"
        if _ACTIVATION_NAME.search(outer_name.lower()) and definition.required == 1:
            return Role.ACTIVATION, f"returned by {outer_name}"
        return None

    def _role_by_name(self, definition: Definition, name: str) -> tuple[Role, str] | None:
        lowered = name.lower()
        if self.tests or _NO_LOSS.match(lowered):
            return None
        loss_name = bool(_LOSS_NAME.search(name) or _CAMEL_LOSS.search(name))
        public_helper = not name.startswith("_") and not _BUILDER.match(lowered)
        if _BUILDER.match(lowered) and not self._labelled(definition):
            return None
        if self._labelled(definition):
            metric = bool(
                _SCORE_NAME.search(lowered) or (not self.in_losses and _METRIC_NAME.search(lowered))
            )
            if self.in_metrics or (metric and not loss_name):
                return Role.METRIC, "named like a metric"
            if not loss_name and self._serves_a_loss(definition):
                return None  # a part of the loss that calls it, and analysed there
            return Role.LOSS, "takes a target and a prediction"
        tensors = [p for p in definition.params if not parameter_like(p)]
        if not tensors or not definition.required:
            return None
        if loss_name and "layer" not in lowered:
            return Role.LOSS, "named like a loss"
        if _REGULARIZER_NAME.search(lowered) and definition.required == 1:
            return Role.REGULARIZER, "named like a regularizer"
        if definition.required == 1:
            if _ACTIVATION_NAME.search(lowered) and "layer" not in lowered:
                return Role.ACTIVATION, "named like an activation"
            registered = any(last(d) in _REGISTRATIONS for d in definition.decorators)
            registered = registered or bare(definition.qualname) in self.registered
            if registered and public_helper and _SIGNAL.match(tensors[0].lower()):
                return Role.ACTIVATION, "registered with Keras, one argument"
        if ".<locals>." in definition.qualname or self._owner(definition) is not None:
            return None
        if self.in_activations and public_helper and 1 <= definition.required <= 2:
            return Role.ACTIVATION, "public function of a module of activations"
        if self.in_losses and public_helper and definition.required >= 2 and not self.supports:
            return Role.LOSS, "public function of a module of losses"
        return None

    def _serves_a_loss(self, definition: Definition) -> bool:
        """Tell whether another function of the file that computes a loss calls this one."""
        if self._loss_callers is None:
            self._loss_callers = {}
            for other in self.index.definitions.values():
                parts = other.qualname.split(".")
                if any(_LOSS_NAME.search(part) or _CAMEL_LOSS.search(part) for part in parts):
                    for name in other.calls:
                        self._loss_callers.setdefault(name, set()).add(other.qualname)
        callers = self._loss_callers.get(last(definition.qualname), set())
        return not callers <= {definition.qualname}

    @staticmethod
    def _labelled(definition: Definition) -> bool:
        params = [p.lower() for p in definition.params if p not in {"self", "cls"}][:3]
        labels = [p for p in params if label_like(p) and _STRONG_LABEL.search(p)]
        return bool(labels) and any(
            PREDICTION.match(p) and _STRONG_PREDICTION.search(p) and p not in labels for p in params
        )

    @staticmethod
    def _fits(definition: Definition, role: Role) -> bool:
        needed = 2 if role is Role.LOSS else 1
        return len([p for p in definition.params if p not in {"self", "cls"}]) >= min(needed, 1)

    def _unit(self, definition: Definition, role: Role, evidence: str) -> Unit:
        given = self.given.get(bare(definition.qualname))
        method = role is Role.LOSS and self._handed_as_method(definition)
        compiled = method or (role is Role.LOSS and self._handed_to_keras(definition))
        return Unit(
            path=self.index.path,
            qualname=definition.qualname,
            role=role,
            evidence=evidence,
            inputs=tuple(input_roles(definition, role)),
            line=definition.line,
            used=() if given is None else (given.site,),
            compiled=compiled,
            aligned=method or (compiled and self._owner(definition) is None),
            called=role is Role.LOSS and self._called(definition),
        )
