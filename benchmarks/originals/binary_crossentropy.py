# probe: loss binary_loss(y_true=binary, *y_pred=probability)
import tensorflow as tf

EPSILON = 1e-7


def binary_loss(y_true, y_pred):
    y_pred = tf.clip_by_value(y_pred, EPSILON, 1.0 - EPSILON)
    positive = y_true * tf.math.log(y_pred)
    negative = (1.0 - y_true) * tf.math.log(1.0 - y_pred)
    return -tf.reduce_mean(positive + negative)
