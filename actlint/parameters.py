"""What parameters stand for: by the role of their function first, then by what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterator

from actlint.graph import InputRole, Role
from actlint.index import Definition

_LABEL = re.compile(
    r"^(y|y_?true\w*|true|t|targets?|tgt|labels?\w*|gts?|gt_\w+|ground_?truth\w*|onehot\w*|"
    r"\w*_(labels?|targets?|true|gt)|true_\w+|expected|masks?|sample_weights?|weights|"
    r"class_weights?|real_labels?|one_hot\w*|y_t|yt|actual)$"
)
# What a prediction is called.
PREDICTION = re.compile(
    r"^(y_?pred\w*|pr|preds?|pred_\w+|\w*_pred|predict\w*|outputs?|output_\w+|\w*_outputs?|"
    r"logits?\w*|\w*_logits?|probs?|y_hat|yhat|y_p|yp|p|\w*_probs?|incoming|inputs?|x)$"
)
_PARAMETER = re.compile(
    r"^(alpha|beta|gamma|delta|eps\w*|epsilon|smooth\w*|margin\w*|temperature|tau|lambda\w*|"
    r"l1|l2|axis|axes|dims?|num_\w+|n_\w+|size|scale|theta|threshold\w*|lower|upper|rate|"
    r"reduction|name|from_logits|training|seed|power|k|kappa|ratio|factor|coef\w*|"
    r"label_smoothing|\w*_weight|\w*_factor|\w*_rate|dtype|self|cls|config|params|args|kwargs|"
    r"\w*_(size|len|length|dims?|count)|max_\w+|min_\w+|units|filters|channels|height|width)$"
)


def label_like(name: str) -> bool:
    """Tell whether a parameter's name says that it is a target."""
    return bool(_LABEL.match(name.lower()))


def parameter_like(name: str) -> bool:
    """Tell whether a parameter's name says that it is a hyperparameter."""
    return bool(_PARAMETER.match(name.lower()))


def input_roles(definition: Definition, role: Role) -> Iterator[tuple[str, InputRole]]:
    """Yield what each required parameter stands for, and optional ones that hold tensors."""
    params = [p for p in definition.params if p not in {"self", "cls"}]
    required = params[: max(definition.required, 0)]
    if role is Role.LOSS:
        for name, kind in _loss_inputs([p for p in required if p not in definition.calls]):
            yield name, kind
        return
    for position, name in enumerate(required):
        if role is Role.TRAINING_STEP:
            kind = InputRole.PARAMETER if parameter_like(name) else InputRole.DATA
            yield name, InputRole.LABEL if label_like(name) else kind
        elif role is Role.CUSTOM_GRADIENT:
            # Later arguments are weights and scales, which may have shapes of their own.
            kind = InputRole.VARIABLE if position else InputRole.ACTIVATION
            yield name, InputRole.PARAMETER if parameter_like(name) else kind
        elif position == 0:
            yield name, (InputRole.VARIABLE if role is Role.REGULARIZER else InputRole.ACTIVATION)
        elif role is Role.LAYER and not parameter_like(name) and not _is_lambda(definition):
            yield name, InputRole.LABEL if label_like(name) else InputRole.ACTIVATION
        else:
            yield name, InputRole.PARAMETER


def _is_lambda(definition: Definition) -> bool:
    """Tell whether a layer is a plain function: what it takes besides its input are settings.

    Keras calls the function of a ``Lambda`` with one input, and with what ``arguments`` holds.
    """
    return definition.params[:1] != ("self",)


def roles_by_name(required: list[str], role: Role, *, method: bool) -> dict[str, InputRole]:
    """Return what the required parameters of a function or bound method with a role stand for."""
    params = ("self", *required) if method else tuple(required)
    record = Definition("", "function", 1, 1, False, params, len(required))
    return dict(input_roles(record, role))


def _loss_inputs(required: list[str]) -> Iterator[tuple[str, InputRole]]:
    labels = [name for name in required[:3] if label_like(name)]
    named = [n for n in required if PREDICTION.match(n.lower()) and n not in labels]
    for position, name in enumerate(required):
        if name in labels and (named or len(labels) < len(required)):
            yield name, InputRole.LABEL
        elif position > 0 and (parameter_like(name) or (labels and named and name not in named)):
            yield name, InputRole.PARAMETER
        elif not labels and position == 0 and named and name not in named and len(required) == 2:
            yield name, InputRole.LABEL
        else:
            yield name, InputRole.PREDICTION
