# probe: loss mixed_loss(y_true=binary, *y_pred=probability)
import tensorflow as tf
from tensorflow.keras.losses import binary_crossentropy


def mixed_loss(y_true, y_pred):
    smooth = 1.0
    overlap = tf.reduce_sum(y_true * y_pred)
    total = tf.reduce_sum(y_true) + tf.reduce_sum(y_pred)
    dice = 1.0 - (2.0 * overlap + smooth) / (total + smooth)
    return tf.reduce_mean(binary_crossentropy(y_true, y_pred)) + dice
