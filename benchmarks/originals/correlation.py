# probe: loss correlation_loss(y_true=real[16], *y_pred=real[16])
from tensorflow.keras import backend as K


def correlation_loss(y_true, y_pred):
    a = y_true - K.mean(y_true)
    b = y_pred - K.mean(y_pred)
    top = K.sum(a * b)
    bottom = K.sqrt(K.sum(K.square(a)) * K.sum(K.square(b)) + 1e-6)
    return 1.0 - top / bottom
