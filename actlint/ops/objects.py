"""Classes whose instances act as ops when called, and names that stand for ops in strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from actlint.graph import Arg, Items
from actlint.ops.model import Op


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """What calling an instance of a class computes.

    Attributes:
        chain: keys of the rows that are applied one after the other to the call's operands.
        params: constructor parameters in order.
        passes: constructor parameter -> parameter of the first op of `chain`.
        statics: arguments of the first op that the class fixes, or its defaults.
        averaged: the result is averaged over all elements, unless the constructor's
            ``reduction`` says otherwise (``"none"``, ``"sum"``).
        named_by: constructor parameter whose string names the op, as in ``Activation("relu")``.
        scale: constructor parameter that multiplies the result, with `scale_default`.
        scale_default: see `scale`.
        folds: the operands are one list, which the first op joins pair by pair.
    """

    chain: tuple[str, ...]
    params: tuple[str, ...] = ()
    passes: Mapping[str, str] = field(default_factory=dict)
    statics: tuple[tuple[str, Arg], ...] = ()
    averaged: bool = False
    named_by: str = ""
    scale: str = ""
    scale_default: float = 1.0
    folds: bool = False


def _loss(key: str, params: str = "") -> ObjectRow:
    """Return a Keras loss class: `params` of its constructor pass on under the same names."""
    own = tuple(params.split())
    return ObjectRow(
        chain=(key,),
        params=(*own, "reduction", "name", "dtype"),
        passes={name: name for name in own},
        averaged=True,
    )


def _layer(key: str, passes: str = "", **statics: Arg) -> ObjectRow:
    pairs = [pair.partition("=") for pair in passes.split()]
    return ObjectRow(
        chain=(key,),
        params=tuple(old for old, _, _ in pairs),
        passes={old: new or old for old, _, new in pairs},
        statics=tuple(statics.items()),
    )


def _penalty(key: str, scale: str) -> ObjectRow:
    return ObjectRow(chain=(key, "reduce_sum"), params=(scale,), scale=scale, scale_default=0.01)


def _pooling(name: str, short: str, key: str) -> dict[str, ObjectRow]:
    """Return the layers that pool all positions of sequences, images and volumes."""
    axes: dict[str, Arg] = {"1D": 1, "2D": Items((1, 2)), "3D": Items((1, 2, 3))}
    return {
        f"layers.Global{spelt}{rank}": _layer(key, "keepdims", axis=axis)
        for rank, axis in axes.items()
        for spelt in dict.fromkeys((f"{name}Pooling", f"{short}Pool"))
    }


OBJECTS: Final[Mapping[str, ObjectRow]] = MappingProxyType(
    {
        "losses.MeanSquaredError": _loss("mean_squared_error"),
        "losses.MeanAbsoluteError": _loss("mean_absolute_error"),
        "losses.MeanAbsolutePercentageError": _loss("mean_absolute_percentage_error"),
        "losses.MeanSquaredLogarithmicError": _loss("mean_squared_logarithmic_error"),
        "losses.BinaryCrossentropy": _loss(
            "binary_crossentropy", "from_logits label_smoothing axis"
        ),
        "losses.BinaryFocalCrossentropy": _loss(
            "binary_focal_crossentropy",
            "apply_class_balancing alpha gamma from_logits label_smoothing axis",
        ),
        "losses.CategoricalCrossentropy": _loss(
            "categorical_crossentropy", "from_logits label_smoothing axis"
        ),
        "losses.CategoricalFocalCrossentropy": _loss(
            "categorical_focal_crossentropy", "alpha gamma from_logits label_smoothing axis"
        ),
        "losses.SparseCategoricalCrossentropy": _loss(
            "sparse_categorical_crossentropy", "from_logits ignore_class"
        ),
        "losses.KLDivergence": _loss("kl_divergence"),
        "losses.Poisson": _loss("poisson"),
        "losses.CosineSimilarity": _loss("cosine_similarity", "axis"),
        "losses.Hinge": _loss("hinge"),
        "losses.SquaredHinge": _loss("squared_hinge"),
        "losses.CategoricalHinge": _loss("categorical_hinge"),
        "losses.Huber": _loss("huber", "delta"),
        "losses.LogCosh": _loss("log_cosh"),
        "losses.Dice": _loss("dice"),
        "losses.Tversky": _loss("tversky", "alpha beta"),
        "layers.Activation": ObjectRow(chain=(), params=("activation",), named_by="activation"),
        "layers.ReLU": _layer("keras_relu", "max_value negative_slope threshold"),
        "layers.LeakyReLU": _layer("leaky_relu", "negative_slope=alpha alpha=alpha", alpha=0.3),
        "layers.ELU": _layer("keras_elu", "alpha"),
        "layers.Softmax": _layer("softmax", "axis"),
        "layers.Flatten": _layer("batch_flatten"),
        "layers.Concatenate": _layer("keras_concatenate", "axis"),
        "layers.Dropout": _layer("dropout", "rate"),
        "layers.Add": _layer("add_n"),
        "layers.Subtract": ObjectRow(chain=("subtract",), folds=True),
        "layers.Multiply": ObjectRow(chain=("multiply",), folds=True),
        "layers.Maximum": ObjectRow(chain=("maximum",), folds=True),
        "layers.Minimum": ObjectRow(chain=("minimum",), folds=True),
        **_pooling("Average", "Avg", "reduce_mean"),
        **_pooling("Max", "Max", "reduce_max"),
        "regularizers.L1": _penalty("abs", "l1"),
        "regularizers.l1": _penalty("abs", "l1"),
        "regularizers.L2": _penalty("square", "l2"),
        "regularizers.l2": _penalty("square", "l2"),
    }
)

_ACTIVATIONS: Final = {
    "relu": "keras_relu",
    "relu6": "relu6",
    "leaky_relu": "leaky_relu",
    "elu": "keras_elu",
    "celu": "celu",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hard_sigmoid",
    "tanh": "tanh",
    "hard_tanh": "hard_tanh",
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "sparsemax": "sparsemax",
    "softplus": "softplus",
    "softsign": "softsign",
    "swish": "keras_silu",
    "silu": "keras_silu",
    "hard_swish": "hard_silu",
    "hard_silu": "hard_silu",
    "gelu": "keras_gelu",
    "mish": "mish",
    "exponential": "exp",
    "linear": "identity",
    "log_sigmoid": "log_sigmoid",
    "squareplus": "squareplus",
    "soft_shrink": "soft_shrink",
    "hard_shrink": "hard_shrink",
    "tanh_shrink": "tanh_shrink",
}

_LOSSES: Final = {
    "mse": "mean_squared_error",
    "MSE": "mean_squared_error",
    "mean_squared_error": "mean_squared_error",
    "mae": "mean_absolute_error",
    "MAE": "mean_absolute_error",
    "mean_absolute_error": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "MAPE": "mean_absolute_percentage_error",
    "mean_absolute_percentage_error": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "MSLE": "mean_squared_logarithmic_error",
    "mean_squared_logarithmic_error": "mean_squared_logarithmic_error",
    "binary_crossentropy": "binary_crossentropy",
    "bce": "binary_crossentropy",
    "BCE": "binary_crossentropy",
    "binary_focal_crossentropy": "binary_focal_crossentropy",
    "categorical_crossentropy": "categorical_crossentropy",
    "categorical_focal_crossentropy": "categorical_focal_crossentropy",
    "sparse_categorical_crossentropy": "sparse_categorical_crossentropy",
    "kld": "kl_divergence",
    "KLD": "kl_divergence",
    "kl_divergence": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "poisson": "poisson",
    "cosine_similarity": "cosine_similarity",
    "cosine_proximity": "cosine_similarity",
    "hinge": "hinge",
    "squared_hinge": "squared_hinge",
    "categorical_hinge": "categorical_hinge",
    "huber": "huber",
    "huber_loss": "huber",
    "logcosh": "log_cosh",
    "log_cosh": "log_cosh",
    "dice": "dice",
    "tversky": "tversky",
}

# Names that `activation="relu"` and `loss="mse"` accept.
BY_STRING: Final[Mapping[str, str]] = MappingProxyType({**_ACTIVATIONS, **_LOSSES})


def check(table: Mapping[str, Op]) -> None:
    """Make sure that every key named here has a row.

    Raises:
        ValueError: one has not.
    """
    keys = {key for entry in OBJECTS.values() for key in entry.chain} | set(BY_STRING.values())
    missing = sorted(keys - set(table))
    if missing:
        raise ValueError(f"no rows for {', '.join(missing)}")
