# probe: loss contrastive_loss(y_true=binary[16,1], *y_pred=positive[16,1])
from tensorflow.keras import backend as K


def contrastive_loss(y_true, y_pred):
    margin = 1.0
    near = y_true * K.square(y_pred)
    far = (1.0 - y_true) * K.square(K.maximum(margin - y_pred, 0.0))
    return K.mean(near + far)
