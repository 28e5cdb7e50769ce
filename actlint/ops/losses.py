"""Rows: the built-in losses, with labels and predictions in the order of each API."""

from __future__ import annotations

from typing import Final

from actlint.graph import Arg, Items
from actlint.interval import INF, MAX, MAX_ELEMENTS, PROBABILITY, Interval, next_up, point
from actlint.ops.arithmetic import sum_of
from actlint.ops.build import POLE, constant, number, operand, row, tame
from actlint.ops.explog import EXP_LIMIT
from actlint.ops.model import Bound, Cause, Gradient, Kind, Op, Region
from actlint.ops.reductions import mean_of

_RED: Final = Kind.REDUCTION
_NONE: Final = Gradient.NONE
_PAIR: Final = "y_true y_pred"
_LABELS: Final = "labels=y_true predictions=y_pred target=y_true output=y_pred"
_V1: Final = "weights scope loss_collection reduction"
_SPARSE: Final = Items((0, 2, 1))


def _non_negative(*operands: Interval) -> Interval:
    return Interval(0.0, INF, not tame(*operands))


def _any_number(*operands: Interval) -> Interval:
    return Interval(-INF, INF, not tame(*operands))


def _mse(y_true: Interval, y_pred: Interval) -> Interval:
    return mean_of(y_true.sub(y_pred).square())


def _mae(y_true: Interval, y_pred: Interval) -> Interval:
    return mean_of(y_true.sub(y_pred).abs())


def _half_square(t: Interval) -> Interval:
    squares = sum_of(t.square())
    return squares.mul(Interval(0.5, 0.5))


def _cross_entropy(labels: Interval, logits: Interval) -> Interval:
    """At least 0 if the labels are probabilities."""
    return Interval(0.0 if labels.within(0.0, 1.0) else -INF, INF, not tame(labels, logits))


def _sparse_cross_entropy(labels: Interval, logits: Interval) -> Interval:
    """Class indices out of range give nan."""
    del labels
    return Interval(0.0, INF, logits.nan or not logits.is_finite)


def _clipped_cross_entropy(bound: Bound) -> Interval:
    """Keras clips probabilities to [1e-7, 1 - 1e-7], so that each term is at most 16.12."""
    return _probability_loss(bound, focal=False)


def _focal_cross_entropy(bound: Bound) -> Interval:
    """The factor (1 - p)**gamma takes probabilities as they are."""
    return _probability_loss(bound, focal=True)


def _probability_loss(bound: Bound, *, focal: bool) -> Interval:
    names = [name for name in ("target", "y_true") if name in bound.intervals]
    labels = operand(bound, names[0]) if names else Interval(-INF, INF, nan=True)
    other = operand(bound, "output" if "output" in bound.intervals else "y_pred")
    weighted = focal and any(name in bound.statics for name in ("alpha", "gamma"))
    if bound.statics.get("from_logits") is True and not weighted:
        return _cross_entropy(labels, other)
    # The categorical losses divide by the sum over the classes first.
    safe = other.lo > 0.0 and tame(labels, other)
    if bound.statics.get("from_logits", False) is not False or not labels.within(0.0, 1.0):
        return Interval(-INF, INF, not safe or focal)
    if focal and (weighted or not other.within(0.0, 1.0)):
        return Interval(-INF, INF, nan=True)
    most = 16.2 * MAX_ELEMENTS
    return Interval(-1e-3, point(most).hi, not safe)


def _log_loss(bound: Bound) -> Interval:
    """tf.losses.log_loss adds epsilon inside the logarithms and does not clip."""
    labels, predictions = operand(bound, "labels"), operand(bound, "predictions")
    safe = predictions.within(0.0, 1.0) and labels.within(0.0, 1.0)
    return Interval(-1e-3 if safe else -INF, INF, not safe)


# log(p + 1e-7), which Keras' Poisson loss and tf.losses.log_loss compute without a clip.
_BELOW: Final = -point(1e-7).lo


def _poisson_regions(bound: Bound) -> tuple[Region, ...]:
    del bound
    return (Region("y_pred", -MAX, _BELOW, POLE, Cause.NEGATIVE),)


def _rate_regions(bound: Bound) -> tuple[Region, ...]:
    del bound
    return (Region("log_input", EXP_LIMIT, MAX, POLE, Cause.OVERFLOW),)


def _log_loss_regions(bound: Bound) -> tuple[Region, ...]:
    if number(bound, "epsilon", 1e-7) != 1e-7:
        return ()
    return (
        Region("predictions", -MAX, _BELOW, POLE, Cause.NEGATIVE),
        Region("predictions", next_up(1.0), MAX, POLE, Cause.OUTSIDE),
    )


_KERAS_SPARSE: Final[dict[str, Arg]] = {"y_true": _SPARSE}

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    # ---- Keras: y_true first, one value per sample
    row("mean_squared_error", "tf.keras.losses.mse", _PAIR,
        "loss:mean_squared_error,mse,MSE", _mse, operands=_PAIR, renamed=_LABELS, kind=_RED),
    row("mean_absolute_error", "tf.keras.losses.mae", _PAIR,
        "loss:mean_absolute_error,mae,MAE", _mae, operands=_PAIR, renamed=_LABELS, kind=_RED),
    row("mean_absolute_percentage_error", "tf.keras.losses.mape",
        _PAIR, "loss:mean_absolute_percentage_error,mape,MAPE", _non_negative, operands=_PAIR,
        renamed=_LABELS, kind=_RED),
    row("mean_squared_logarithmic_error", "tf.keras.losses.msle",
        _PAIR, "loss:mean_squared_logarithmic_error,msle,MSLE", _non_negative, operands=_PAIR,
        renamed=_LABELS, kind=_RED),
    row("binary_crossentropy", "tf.keras.losses.binary_crossentropy",
        "y_true y_pred from_logits label_smoothing axis", "loss:binary_crossentropy",
        bound=_clipped_cross_entropy, operands=_PAIR, renamed=_LABELS, kind=_RED),
    row("binary_focal_crossentropy", "tf.keras.losses.binary_focal_crossentropy",
        "y_true y_pred apply_class_balancing alpha gamma from_logits label_smoothing axis",
        "loss:binary_focal_crossentropy", bound=_focal_cross_entropy, operands=_PAIR,
        renamed=_LABELS, kind=_RED),
    row("categorical_crossentropy", "tf.keras.losses.categorical_crossentropy",
        "y_true y_pred from_logits label_smoothing axis", "loss:categorical_crossentropy",
        bound=_clipped_cross_entropy, operands=_PAIR, renamed=_LABELS, kind=_RED),
    row("categorical_focal_crossentropy", "tf.keras.losses.categorical_focal_crossentropy",
        "y_true y_pred alpha gamma from_logits label_smoothing axis",
        "loss:categorical_focal_crossentropy", bound=_focal_cross_entropy, operands=_PAIR,
        renamed=_LABELS, kind=_RED),
    row("sparse_categorical_crossentropy", "tf.keras.losses.sparse_categorical_crossentropy",
        "y_true y_pred from_logits ignore_class axis", "loss:sparse_categorical_crossentropy",
        _sparse_cross_entropy, operands=_PAIR, passive="y_true", renamed=_LABELS, kind=_RED,
        examples=_KERAS_SPARSE),
    row("kl_divergence", "tf.keras.losses.kld", _PAIR,
        "loss:kl_divergence,kullback_leibler_divergence,kld,KLD",
        _any_number, operands=_PAIR, renamed=_LABELS, kind=_RED),
    row("poisson", "tf.keras.losses.poisson", _PAIR, "loss:poisson",
        lambda y_true, y_pred: Interval(-INF, INF, y_pred.lo < 0.0 or not tame(y_true, y_pred)),
        operands=_PAIR, renamed=_LABELS, kind=_RED, regions=_poisson_regions),
    row("cosine_similarity", "tf.keras.losses.cosine_similarity", "y_true y_pred axis",
        "loss:cosine_similarity,cosine,cosine_proximity", lambda y_true, y_pred: Interval(
            -1.0001, 1.0001, not (y_true.is_finite and y_pred.is_finite)), operands=_PAIR,
        renamed=_LABELS, kind=_RED),
    row("hinge", "tf.keras.losses.hinge", _PAIR, "loss:hinge", _non_negative, operands=_PAIR,
        renamed=_LABELS, kind=_RED),
    row("squared_hinge", "tf.keras.losses.squared_hinge", _PAIR, "loss:squared_hinge",
        _non_negative, operands=_PAIR, renamed=_LABELS, kind=_RED),
    row("categorical_hinge", "tf.keras.losses.categorical_hinge", _PAIR,
        "loss:categorical_hinge", _non_negative, operands=_PAIR, renamed=_LABELS, kind=_RED),
    row("huber", "tf.keras.losses.huber", "y_true y_pred delta", "loss:huber,huber_loss",
        _non_negative, operands=_PAIR, renamed=_LABELS, kind=_RED),
    row("log_cosh", "tf.keras.losses.logcosh", _PAIR, "loss:log_cosh,logcosh",
        lambda y_true, y_pred: Interval(-1e-3, INF, not (y_true.is_finite and y_pred.is_finite)),
        operands=_PAIR, renamed=_LABELS, kind=_RED),
    row("dice", "tf.keras.losses.dice", "y_true y_pred axis", "loss:dice",
        _any_number, operands=_PAIR, kind=_RED),
    row("tversky", "tf.keras.losses.tversky", "y_true y_pred alpha beta axis", "loss:tversky",
        _any_number, operands=_PAIR, kind=_RED),
    # ---- Keras metrics that people use as losses: steps, so no gradient
    row("binary_accuracy", "tf.keras.metrics.binary_accuracy", "y_true y_pred threshold",
        "loss:binary_accuracy", constant(PROBABILITY), operands=_PAIR, gradient=_NONE,
        kind=_RED, jumps=True),
    row("categorical_accuracy", "tf.keras.metrics.categorical_accuracy", _PAIR,
        "loss:categorical_accuracy", constant(PROBABILITY), operands=_PAIR, gradient=_NONE,
        kind=_RED, jumps=True),
    row("sparse_categorical_accuracy", "tf.keras.metrics.sparse_categorical_accuracy", _PAIR,
        "loss:sparse_categorical_accuracy", constant(PROBABILITY), operands=_PAIR,
        gradient=_NONE, kind=_RED, jumps=True, examples=_KERAS_SPARSE),
    row("top_k_categorical_accuracy", "tf.keras.metrics.top_k_categorical_accuracy",
        "y_true y_pred k", "loss:top_k_categorical_accuracy", constant(PROBABILITY),
        operands=_PAIR, gradient=_NONE, kind=_RED, jumps=True, examples={"k": 2}),
    row("sparse_top_k_categorical_accuracy",
        "tf.keras.metrics.sparse_top_k_categorical_accuracy", "y_true y_pred k from_sorted_ids",
        "loss:sparse_top_k_categorical_accuracy", constant(PROBABILITY), operands=_PAIR,
        gradient=_NONE, kind=_RED, jumps=True, examples={"y_true": _SPARSE, "k": 2}),
    # ---- Keras backend and keras.ops: target first, elementwise
    row("backend_binary_crossentropy", "tf.keras.backend.binary_crossentropy",
        "target output from_logits", "K,ops:binary_crossentropy", bound=_clipped_cross_entropy,
        operands="target output"),
    row("backend_categorical_crossentropy", "tf.keras.backend.categorical_crossentropy",
        "target output from_logits axis", "K,ops:categorical_crossentropy",
        bound=_clipped_cross_entropy, operands="target output", kind=_RED),
    row("backend_sparse_categorical_crossentropy",
        "tf.keras.backend.sparse_categorical_crossentropy",
        "target output from_logits axis", "K,ops:sparse_categorical_crossentropy",
        _sparse_cross_entropy, operands="target output", passive="target", kind=_RED,
        examples={"target": _SPARSE}),
    # ---- tf.nn: logits, computed stably
    row("sigmoid_cross_entropy_with_logits", "tf.nn.sigmoid_cross_entropy_with_logits",
        "labels logits name", "nn:sigmoid_cross_entropy_with_logits", _cross_entropy,
        operands="labels logits", renamed="targets=labels", ignored="_sentinel"),
    row("weighted_cross_entropy_with_logits", "tf.nn.weighted_cross_entropy_with_logits",
        "labels logits pos_weight name", "nn:weighted_cross_entropy_with_logits",
        _any_number, operands="labels logits pos_weight", renamed="targets=labels",
        examples={"pos_weight": 2.0}),
    row("softmax_cross_entropy_with_logits", "tf.nn.softmax_cross_entropy_with_logits",
        "labels logits axis name",
        "nn:softmax_cross_entropy_with_logits,softmax_cross_entropy_with_logits_v2",
        _cross_entropy, operands="labels logits", renamed="dim=axis", ignored="_sentinel",
        kind=_RED),
    row("sparse_softmax_cross_entropy_with_logits",
        "tf.nn.sparse_softmax_cross_entropy_with_logits", "labels logits name",
        "nn:sparse_softmax_cross_entropy_with_logits", _sparse_cross_entropy,
        operands="labels logits", passive="labels", ignored="_sentinel", kind=_RED,
        examples={"labels": _SPARSE}),
    row("log_poisson_loss", "tf.nn.log_poisson_loss",
        "targets log_input compute_full_loss name", "nn:log_poisson_loss", _any_number,
        operands="targets log_input", regions=_rate_regions),
    row("l2_loss", "tf.nn.l2_loss", "t name", "nn:l2_loss", _half_square, renamed="x=t",
        kind=_RED),
    # ---- tf.compat.v1.losses: labels first, averaged over the batch
    row("v1_mean_squared_error", "tf.compat.v1.losses.mean_squared_error",
        f"labels predictions {_V1}", "v1losses,tflosses:mean_squared_error", _mse,
        operands="labels predictions", renamed="y_true=labels y_pred=predictions", kind=_RED,
        ignored="scope loss_collection"),
    row("v1_absolute_difference", "tf.compat.v1.losses.absolute_difference",
        f"labels predictions {_V1}", "v1losses,tflosses:absolute_difference", _mae,
        operands="labels predictions", kind=_RED, ignored="scope loss_collection"),
    row("v1_huber_loss", "tf.compat.v1.losses.huber_loss",
        "labels predictions weights delta scope loss_collection reduction",
        "v1losses,tflosses:huber_loss", _non_negative, operands="labels predictions", kind=_RED,
        ignored="scope loss_collection"),
    row("v1_hinge_loss", "tf.compat.v1.losses.hinge_loss", f"labels logits {_V1}",
        "v1losses,tflosses:hinge_loss", _non_negative, operands="labels logits", kind=_RED,
        ignored="scope loss_collection", examples={"labels": Items(
            (Items((0.0, 1.0, 0.0)), Items((1.0, 0.0, 0.0)), Items((0.0, 0.0, 1.0))))}),
    row("v1_log_loss", "tf.compat.v1.losses.log_loss",
        "labels predictions weights epsilon scope loss_collection reduction",
        "v1losses,tflosses:log_loss", bound=_log_loss, operands="labels predictions", kind=_RED,
        regions=_log_loss_regions, ignored="scope loss_collection"),
    row("v1_cosine_distance", "tf.compat.v1.losses.cosine_distance",
        "labels predictions axis weights scope loss_collection reduction",
        "v1losses,tflosses:cosine_distance", _any_number, operands="labels predictions",
        renamed="dim=axis", kind=_RED, ignored="scope loss_collection", examples={"axis": -1}),
    row("v1_mean_pairwise_squared_error", "tf.compat.v1.losses.mean_pairwise_squared_error",
        "labels predictions weights scope loss_collection",
        "v1losses,tflosses:mean_pairwise_squared_error", _any_number,
        operands="labels predictions", kind=_RED, ignored="scope loss_collection"),
    row("v1_sigmoid_cross_entropy", "tf.compat.v1.losses.sigmoid_cross_entropy",
        "multi_class_labels logits weights label_smoothing scope loss_collection reduction",
        "v1losses,tflosses:sigmoid_cross_entropy", _cross_entropy,
        operands="multi_class_labels logits", kind=_RED, ignored="scope loss_collection"),
    row("v1_softmax_cross_entropy", "tf.compat.v1.losses.softmax_cross_entropy",
        "onehot_labels logits weights label_smoothing scope loss_collection reduction",
        "v1losses,tflosses:softmax_cross_entropy", _cross_entropy,
        operands="onehot_labels logits", passive="onehot_labels",
        kind=_RED, ignored="scope loss_collection"),
    row("v1_sparse_softmax_cross_entropy",
        "tf.compat.v1.losses.sparse_softmax_cross_entropy", f"labels logits {_V1}",
        "v1losses,tflosses:sparse_softmax_cross_entropy", _sparse_cross_entropy,
        operands="labels logits", passive="labels", kind=_RED,
        ignored="scope loss_collection", examples={"labels": _SPARSE}),
    row("compute_weighted_loss", "tf.compat.v1.losses.compute_weighted_loss",
        "losses weights scope loss_collection reduction", "v1losses,tflosses:compute_weighted_loss",
        _any_number, kind=_RED, ignored="scope loss_collection"),
)
# fmt: on
