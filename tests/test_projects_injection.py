"""Packages that hand the backend to their losses while they run, as serving two Keras needs."""

from __future__ import annotations

import pytest

from actlint.engine import Options, lint
from actlint.source import SourceFile

# A package whose losses import nothing: the framework is chosen in its `__init__.py`.
PACKAGE = {
    "seg/__init__.py": """\
from . import base

_BACKEND = None


def inject(func):
    def wrapper(*args, **kwargs):
        kwargs["backend"] = _BACKEND
        return func(*args, **kwargs)

    return wrapper


def set_framework(name):
    if name == "keras":
        import keras
    else:
        from tensorflow import keras
    global _BACKEND
    _BACKEND = keras.backend
    base.Module.set_submodules(backend=keras.backend)
""",
    "seg/base/__init__.py": "from .objects import Loss, Module\nfrom . import functional\n",
    "seg/base/objects.py": """\
class Module:
    _backend = None

    def __init__(self, name=None):
        if self.backend is None:
            raise RuntimeError("no framework is set")
        self._name = name

    @classmethod
    def set_submodules(cls, backend):
        cls._backend = backend

    @property
    def submodules(self):
        return {"backend": self.backend}

    @property
    def backend(self):
        return self._backend


class Loss(Module):
    pass
""",
    "seg/base/functional.py": """\
def axes_of(per_image, **kwargs):
    backend = kwargs["backend"]
    axes = [1, 2] if backend.image_data_format() == "channels_last" else [2, 3]
    if not per_image:
        axes.insert(0, 0)
    return axes


def overlap(gt, pr, smooth, per_image=False, **kwargs):
    backend = kwargs["backend"]
    axes = axes_of(per_image, **kwargs)
    both = backend.sum(gt * pr, axis=axes)
    return (both + smooth) / (backend.sum(gt, axis=axes) + backend.sum(pr, axis=axes) + smooth)
""",
    "seg/losses.py": """\
from .base import Loss
from .base import functional as F


class DiceLoss(Loss):
    def __init__(self, smooth=0.0):
        super().__init__(name="dice_loss")
        self.smooth = smooth

    def __call__(self, gt, pr):
        return 1 - 2 * F.overlap(gt, pr, self.smooth, **self.submodules)
""",
}


def _findings(files: dict[str, str]) -> list[tuple[str, str, str, str]]:
    result = lint([SourceFile(path, text) for path, text in files.items()], Options(confirm=False))
    assert not result.errors
    return [
        (f.site.path, f.code, f.site.text, " ".join(f"{s.path}:{s.span.line}" for s in f.trail))
        for f in result.findings
    ]


def test_backend_in_submodules() -> None:
    (found,) = _findings(PACKAGE)
    culprit = "(both + smooth) / (backend.sum(gt, axis=axes) + backend.sum(pr, axis=axes) + smooth)"
    assert found == ("seg/base/functional.py", "ACT101", culprit, "seg/losses.py:11")


def test_the_order_of_files_does_not_matter() -> None:
    assert _findings(dict(reversed(PACKAGE.items()))) == _findings(PACKAGE)


@pytest.mark.parametrize("smooth", ["1.0", "1e-5"])
def test_backend_in_submodules_of_a_sound_loss(smooth: str) -> None:
    sound = PACKAGE["seg/losses.py"].replace("smooth=0.0", f"smooth={smooth}")
    assert not _findings({**PACKAGE, "seg/losses.py": sound})


BODY = "return backend.mean(-y_true * backend.log(y_pred))\n"
# Each way in which a file hands the backend to `loss.py`, and what stands there.
WAYS = {
    "global": {
        "loss.py": f"""\
from keras import backend as K

backend = None


def use():
    global backend
    backend = K


def entropy(y_true, y_pred):
    {BODY}""",
    },
    "global_of_a_setter": {
        "loss.py": f"""\
backend = None


def use(module):
    global backend
    backend = module


def entropy(y_true, y_pred):
    {BODY}""",
        "train.py": "import tensorflow as tf\nimport loss\n\nloss.use(tf.keras.backend)\n",
    },
    "attribute_of_the_module": {
        "loss.py": f"backend = None\n\n\ndef entropy(y_true, y_pred):\n    {BODY}",
        "train.py": "from keras import backend as K\nimport loss\n\nloss.backend = K\n",
    },
    "parameter": {
        "loss.py": f"def entropy(y_true, y_pred, backend=None):\n    {BODY}",
        "train.py": """\
import functools
from keras import backend as K
from loss import entropy

model.compile(loss=functools.partial(entropy, backend=K))
""",
    },
    "keyword_that_may_lack": {
        "loss.py": f"""\
def entropy(y_true, y_pred, **kwargs):
    backend = kwargs.get("backend", None)
    {BODY}""",
        "train.py": """\
from keras import backend as K
from loss import entropy

value = entropy(labels, shares, backend=K)
""",
    },
    "constructor": {
        "loss.py": """\
class EntropyLoss:
    def __init__(self, backend):
        self.backend = backend

    def __call__(self, y_true, y_pred):
        return self.backend.mean(-y_true * self.backend.log(y_pred))
""",
        "train.py": """\
import keras
from loss import EntropyLoss

model.compile(loss=EntropyLoss(backend=keras.backend))
""",
    },
    "submodules_of_keras_applications": {
        "loss.py": f"""\
from keras_applications import get_submodules_from_kwargs

backend = None


def build(**kwargs):
    global backend, layers, models, utils
    backend, layers, models, utils = get_submodules_from_kwargs(kwargs)


def entropy(y_true, y_pred):
    {BODY}""",
    },
    "closure_with_submodules_of_keras_applications": {
        "loss.py": f"""\
from keras_applications import get_submodules_from_kwargs


def make(**kwargs):
    backend, layers, models, utils = get_submodules_from_kwargs(kwargs)

    def entropy(y_true, y_pred):
        {BODY}
    return entropy
""",
    },
    "compatibility_module": {
        "loss.py": f"from compat import K as backend\n\n\ndef entropy(y_true, y_pred):\n    {BODY}",
        "compat.py": "try:\n    from tensorflow.keras import backend as K\n"
        "except ImportError:\n    from keras import backend as K\n",
    },
}


@pytest.mark.parametrize("name", WAYS)
def test_ways_to_hand_on_the_backend(name: str) -> None:
    found = [f[:2] for f in _findings(WAYS[name])]
    assert found == [("loss.py", "ACT103")]


def test_backends_that_differ_stay_unknown() -> None:
    files = {
        "loss.py": f"backend = None\n\n\ndef entropy(y_true, y_pred):\n    {BODY}",
        "train.py": "from keras import backend as K\nimport numpy\nimport loss\n\n"
        "loss.backend = K\nloss.backend = numpy\n",
    }
    assert not _findings(files)


def test_what_no_file_hands_on_stays_unknown() -> None:
    other = WAYS["global_of_a_setter"]["loss.py"]
    assert not _findings({"loss.py": other, "train.py": "import tensorflow as tf\nimport loss\n"})


def test_another_package_has_a_backend_of_its_own() -> None:
    away = {f"pkg/{path}": text for path, text in WAYS["attribute_of_the_module"].items()}
    away["pkg/__init__.py"] = ""
    text = WAYS["attribute_of_the_module"]["loss.py"]
    found = _findings({**away, "other/__init__.py": "import keras\n", "other/loss.py": text})
    assert [path for path, *_ in found] == ["pkg/loss.py"]
