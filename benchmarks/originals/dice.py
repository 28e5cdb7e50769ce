# probe: loss dice_loss(y_true=binary[4,8,8,1], *y_pred=probability[4,8,8,1])
from tensorflow.keras import backend as K

SMOOTH = 1.0


def dice_coefficient(y_true, y_pred):
    y_true = K.batch_flatten(y_true)
    y_pred = K.batch_flatten(y_pred)
    overlap = K.sum(y_true * y_pred, axis=-1)
    total = K.sum(y_true, axis=-1) + K.sum(y_pred, axis=-1)
    return (2.0 * overlap + SMOOTH) / (total + SMOOTH)


def dice_loss(y_true, y_pred):
    return 1.0 - K.mean(dice_coefficient(y_true, y_pred))
