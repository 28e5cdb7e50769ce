# probe: loss events_loss(y_true=binary[16,40], *y_pred=probability[16,40])
import tensorflow as tf


def events_loss(y_true, y_pred):
    agreed = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    return -tf.reduce_mean(tf.reduce_sum(tf.math.log(agreed + 1e-6), axis=-1))
