# probe: loss margin_loss(y_true=onehot, *y_pred=real)
from keras import ops


def margin_loss(y_true, y_pred):
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.mean(ops.maximum(wrong - right + 1.0, 0.0))
