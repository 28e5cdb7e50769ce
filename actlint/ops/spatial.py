"""Rows: images, pooling, convolution, matrix algebra, as structural losses use them."""

from __future__ import annotations

from typing import Final

from actlint.graph import Arg, Items
from actlint.interval import (
    EPS,
    INDEX,
    INF,
    MAX,
    TINY,
    ZERO,
    Interval,
    hull,
    round_up,
    widen_down,
    widen_up,
)
from actlint.ops.arithmetic import sum_of
from actlint.ops.build import POLE, operand, ranged, row, same
from actlint.ops.model import Bound, Cause, Gradient, Kind, Op, Region
from actlint.ops.powers import rsqrt
from actlint.ops.reductions import mean_of

_MOVES: Final = Kind.STRUCTURAL
_OTHER: Final = Kind.OTHER


def _convolved(x: Interval, kernel: Interval) -> Interval:
    """Padding adds zeros to the products that are summed."""
    total = sum_of(x.mul(kernel))
    return Interval(min(total.lo, 0.0), max(total.hi, 0.0), total.nan)


def _normalised(bound: Bound) -> Interval:
    """X * s + (offset - mean * s) with s = scale / sqrt(variance + epsilon), as it is computed."""
    variance, epsilon = operand(bound, "variance"), operand(bound, "variance_epsilon")
    scale = operand(bound, "scale", 1.0).mul(rsqrt(variance.add(epsilon)))
    shift = operand(bound, "offset", 0.0).sub(operand(bound, "mean").mul(scale))
    return operand(bound, "x").mul(scale).add(shift)


def _variance_regions(bound: Bound) -> tuple[Region, ...]:
    epsilon = operand(bound, "variance_epsilon")
    if not epsilon.is_point or epsilon.lo != 0.0:
        return ()
    return (Region("variance", 0.0, 0.0, POLE, Cause.ZERO),)


def _weighted(x: Interval) -> Interval:
    """Weights 0.2989, 0.587 and 0.114, whose sum is 0.9999."""
    size = min(max(abs(x.lo), abs(x.hi)), MAX) * 1.1e-4 + 4.0 * TINY
    return Interval(widen_down(x.lo - size, 8), widen_up(x.hi + size, 8), not x.is_finite)


def _resized(x: Interval) -> Interval:
    """Bicubic and Lanczos kernels overshoot."""
    width = x.hi - x.lo
    if not x.is_finite or width > MAX / 4.0:
        return Interval(-INF, INF, nan=True)
    return Interval(widen_down(x.lo - width, 8), widen_up(x.hi + width, 8))


def _differences(x: Interval) -> Interval:
    return hull((x.sub(x), Interval(0.0, 0.0)))


def _sobel(x: Interval) -> Interval:
    """Kernel weights 1, 2, 1 against -1, -2, -1, summed in any order."""
    size = max(abs(x.lo), abs(x.hi))
    if x.nan or size > MAX / 8.0:
        return Interval(-INF, INF, nan=True)
    most = round_up(4.0 * (x.hi - x.lo) + 16.0 * EPS * size)
    return Interval(-most, most)


def _pooled(x: Interval) -> Interval:
    """The greatest element starts from the least finite number, and nan is passed over."""
    return x.join(Interval(-MAX, -MAX)) if x.nan or x.lo == -INF else x


def _variation(images: Interval) -> Interval:
    return sum_of(images.sub(images).abs())


def _similarity(a: Interval, b: Interval) -> Interval:
    """Structural similarity: a product of quotients in [-1, 1], up to rounding."""
    return Interval(-INF, INF, nan=not (a.within(-1e6, 1e6) and b.within(-1e6, 1e6)))


_PATCH: Final[dict[str, Arg]] = {"ksize": 2, "strides": 1, "padding": "SAME"}
_CONV: Final[dict[str, Arg]] = {"strides": 1, "padding": "SAME"}
_ANY: Final = ranged(-INF, INF, partial=True)

# fmt: off
ROWS: Final[tuple[Op, ...]] = (
    # ---- neighbourhoods
    row("conv2d", "tf.nn.conv2d", "input filters strides padding data_format dilations name",
        "nn:conv2d", _convolved, operands="input filters", renamed="filter=filters",
        kind=_OTHER, examples=_CONV, ignored="use_cudnn_on_gpu",
        ranks={"input": 4, "filters": 4}),
    row("depthwise_conv2d", "tf.nn.depthwise_conv2d",
        "input filter strides padding data_format dilations name", "nn:depthwise_conv2d",
        _convolved, operands="input filter", kind=_OTHER, ranks={"input": 4, "filter": 4},
        examples={"strides": Items((1, 1, 1, 1)), "padding": "SAME"}),
    row("max_pool", "tf.nn.max_pool", "input ksize strides padding data_format name",
        "nn:max_pool", _pooled, renamed="value=input", kind=_OTHER, examples=_PATCH,
        ranks={"input": 3}),
    row("max_pool2d", "tf.nn.max_pool2d", "input ksize strides padding data_format name",
        "nn:max_pool2d", _pooled, kind=_OTHER, examples=_PATCH, ranks={"input": 4}),
    row("avg_pool", "tf.nn.avg_pool", "input ksize strides padding data_format name",
        "nn:avg_pool", mean_of, renamed="value=input", kind=_OTHER, examples=_PATCH,
        ranks={"input": 3}),
    row("avg_pool2d", "tf.nn.avg_pool2d", "input ksize strides padding data_format name",
        "nn:avg_pool2d", mean_of, kind=_OTHER, examples=_PATCH, ranks={"input": 4}),
    row("depth_to_space", "tf.nn.depth_to_space", "input block_size data_format name",
        "nn,tf:depth_to_space", same, kind=_MOVES, examples={"block_size": 2}),
    row("space_to_depth", "tf.nn.space_to_depth", "input block_size data_format name",
        "nn,tf:space_to_depth", same, kind=_MOVES, examples={"block_size": 2}),
    row("batch_normalization", "tf.nn.batch_normalization",
        "x mean variance offset scale variance_epsilon name", "nn:batch_normalization",
        bound=_normalised, operands="x mean variance offset scale variance_epsilon",
        regions=_variance_regions, kind=_OTHER, examples={"variance_epsilon": 1e-3}),
    # ---- images
    row("extract_patches", "tf.image.extract_patches", "images sizes strides rates padding name",
        "image:extract_patches", lambda x: x.join(ZERO), kind=_MOVES, examples={
            "sizes": Items((1, 2, 2, 1)), "strides": Items((1, 1, 1, 1)),
            "rates": Items((1, 1, 1, 1)), "padding": "SAME"}),
    row("image_resize", "tf.image.resize",
        "images size method preserve_aspect_ratio antialias name", "image:resize", _resized,
        kind=_OTHER, examples={"size": Items((4, 4))}),
    row("rgb_to_grayscale", "tf.image.rgb_to_grayscale", "images name",
        "image:rgb_to_grayscale", _weighted, kind=_OTHER),
    row("sobel_edges", "tf.image.sobel_edges", "image", "image:sobel_edges", _sobel,
        kind=_OTHER),
    row("image_gradients", "tf.image.image_gradients", "image", "image:image_gradients",
        _differences, kind=_OTHER, results="image_gradients_y image_gradients_x"),
    row("image_gradients_y", "tf.image.image_gradients", "image", "", _differences, kind=_OTHER,
        component=0),
    row("image_gradients_x", "tf.image.image_gradients", "image", "", _differences, kind=_OTHER,
        component=1),
    row("total_variation", "tf.image.total_variation", "images name", "image:total_variation",
        _variation, kind=Kind.REDUCTION),
    row("ssim", "tf.image.ssim",
        "img1 img2 max_val filter_size filter_sigma k1 k2 return_index_map", "image:ssim",
        _similarity, operands="img1 img2", kind=Kind.REDUCTION,
        examples={"max_val": 1.0, "filter_size": 3}),
    row("ssim_multiscale", "tf.image.ssim_multiscale",
        "img1 img2 max_val power_factors filter_size filter_sigma k1 k2",
        "image:ssim_multiscale", ranged(-INF, INF, partial=True), operands="img1 img2",
        kind=Kind.REDUCTION, examples={"max_val": 1.0, "filter_size": 2,
                                       "power_factors": Items((0.5, 0.5))}),
    row("psnr", "tf.image.psnr", "a b max_val name", "image:psnr", ranged(-INF, INF),
        operands="a b", kind=Kind.REDUCTION, examples={"max_val": 1.0}),
    # ---- matrices
    row("det", "tf.linalg.det", "input name", "linalg:det tf:matrix_determinant ops:det",
        _ANY, renamed="x=input", kind=_OTHER),
    row("logdet", "tf.linalg.logdet", "matrix name", "linalg,ops:logdet", _ANY,
        renamed="x=matrix", kind=_OTHER,
        regions=((0.0, 0.0, POLE, Cause.ZERO_VECTOR),)),
    row("inv", "tf.linalg.inv", "input adjoint name", "linalg:inv tf:matrix_inverse ops:inv",
        _ANY, renamed="x=input", kind=_OTHER),
    row("pinv", "tf.linalg.pinv", "a rcond validate_args name", "linalg:pinv", _ANY,
        kind=_OTHER),
    row("cholesky", "tf.linalg.cholesky", "input name", "linalg,tf:cholesky", _ANY, kind=_OTHER),
    row("linalg_solve", "tf.linalg.solve", "matrix rhs adjoint name",
        "linalg:solve tf:matrix_solve", _ANY, operands="matrix rhs", kind=_OTHER),
    row("expm", "tf.linalg.expm", "input name", "linalg:expm", _ANY, kind=_OTHER),
    row("adjoint", "tf.linalg.adjoint", "matrix name", "linalg:adjoint", same, kind=_MOVES),
    row("matrix_rank", "tf.linalg.matrix_rank", "a tol validate_args name",
        "linalg:matrix_rank", lambda _: INDEX, kind=_OTHER, gradient=Gradient.NONE),
)
# fmt: on
