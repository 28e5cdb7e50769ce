# probe: loss rmse_loss(y_true=real, *y_pred=real)
from keras import ops


def rmse_loss(y_true, y_pred):
    squared = ops.mean(ops.square(y_true - y_pred), axis=-1)
    return ops.mean(ops.sqrt(squared + 1e-8))
