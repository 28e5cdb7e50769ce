# probe: loss squared_log_loss(y_true=positive, *y_pred=positive)
from tensorflow.keras import backend as K


def squared_log_loss(y_true, y_pred):
    first = K.log(K.maximum(y_pred, K.epsilon()) + 1.0)
    second = K.log(K.maximum(y_true, K.epsilon()) + 1.0)
    return K.mean(K.square(first - second), axis=-1)
