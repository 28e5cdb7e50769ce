"""Parameters of layers from outside, in their order, up to the activation.

Sources: the API documentation of tf.layers, tf.contrib.layers and tf.contrib.slim (TensorFlow
1.15), of tf.keras.layers (TensorFlow 2), and of tflearn (0.5).
"""

from __future__ import annotations

import re
from typing import Final

from actlint.lower.values import Static, Value
from actlint.names import last

_CONV: Final = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")
_CONTRIB_CONV: Final = ("inputs", "num_outputs", "kernel_size", "stride", "padding", "data_format")
_TFLEARN_CONV: Final = ("incoming", "nb_filter", "filter_size", "strides", "padding", "activation")

# Functions of tf.layers, and functional layers of the other libraries.
_TF_LAYERS: Final[dict[str, tuple[str, ...]]] = {
    "dense": ("inputs", "units", "activation"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), ("inputs", "filters", *_CONV, "activation")),
    **dict.fromkeys(
        ("separable_conv1d", "separable_conv2d"),
        ("inputs", "filters", *_CONV, "depth_multiplier", "activation"),
    ),
    **dict.fromkeys(
        ("conv2d_transpose", "conv3d_transpose"), ("inputs", "filters", *_CONV[:4], "activation")
    ),
}
_CONTRIB: Final[dict[str, tuple[str, ...]]] = {
    "fully_connected": ("inputs", "num_outputs", "activation_fn"),
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d", "convolution", "convolution1d", "convolution2d",
         "convolution3d"),
        (*_CONTRIB_CONV, "rate", "activation_fn"),
    ),
    **dict.fromkeys(
        ("conv2d_transpose", "convolution2d_transpose", "conv3d_transpose",
         "convolution3d_transpose"),
        (*_CONTRIB_CONV, "activation_fn"),
    ),
    **dict.fromkeys(
        ("conv2d_in_plane", "convolution2d_in_plane"),
        ("inputs", "kernel_size", "stride", "padding", "activation_fn"),
    ),
    **dict.fromkeys(
        ("separable_conv2d", "separable_convolution2d"),
        ("inputs", "num_outputs", "kernel_size", "depth_multiplier", "stride", "padding",
         "data_format", "rate", "activation_fn"),
    ),
    "batch_norm": ("inputs", "decay", "center", "scale", "epsilon", "activation_fn"),
    "layer_norm": ("inputs", "center", "scale", "activation_fn"),
}  # fmt: skip
_TFLEARN: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("fully_connected", "highway"), ("incoming", "n_units", "activation")),
    "single_unit": ("incoming", "activation"),
    **dict.fromkeys(
        ("conv_1d", "conv_2d", "conv_3d", "highway_conv_1d", "highway_conv_2d"), _TFLEARN_CONV
    ),
    **dict.fromkeys(
        ("conv_2d_transpose", "conv_3d_transpose"),
        (*_TFLEARN_CONV[:3], "output_shape", *_TFLEARN_CONV[3:]),
    ),
}
# Constructors of Keras layers and of the classes of tf.layers, which agree as far as this goes.
_CLASSES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("Dense", "LSTM", "GRU", "SimpleRNN"), ("units", "activation")),
    **dict.fromkeys(
        ("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D"),
        ("filters", *_CONV, "groups", "activation"),
    ),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"),
        ("filters", *_CONV, "depth_multiplier", "activation"),
    ),
    "EinsumDense": ("equation", "output_shape", "activation"),
}
_HOMES: Final = (
    (re.compile(r"\b(contrib|slim|tf_slim)\."), _CONTRIB),
    (re.compile(r"^tflearn\."), _TFLEARN),
    (re.compile(r"^(tensorflow|keras|tf_keras)\b.*\blayers\."), _TF_LAYERS | _CLASSES),
)
# A parameter that came in the midst of others in TensorFlow 2.3, and is a number.
_NEWER: Final = "groups"


def settings(
    names: tuple[str, ...], args: tuple[Value, ...] | list[Value], keywords: dict[str, Value]
) -> dict[str, Value]:
    """Return what a layer is told, by the names of its parameters as far as they are known.

    Args:
        names: the meanings of what is called.
        args: positional arguments of the function or constructor.
        keywords: those by name.
    """
    return dict(zip(_parameters(names, args), args, strict=False)) | keywords


def _parameters(names: tuple[str, ...], args: tuple[Value, ...] | list[Value]) -> tuple[str, ...]:
    """Return parameters in their order; none unless all meanings agree."""
    found = {_known(name) for name in names}
    if len(found) != 1:
        return ()
    known = found.pop()
    if _NEWER in known:
        place = known.index(_NEWER)
        given = args[place] if len(args) > place else None
        if not (isinstance(given, Static) and isinstance(given.value, int)):
            return tuple(name for name in known if name != _NEWER)
    return known


def _known(name: str) -> tuple[str, ...]:
    for home, table in _HOMES:
        if home.search(name):
            return table.get(last(name), ())
    return ()
