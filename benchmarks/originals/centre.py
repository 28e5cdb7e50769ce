# probe: loss centre_loss(y_true=real, *y_pred=real)
import tensorflow as tf


def centre_loss(y_true, y_pred, weight=0.5):
    squared = tf.reduce_sum(tf.math.squared_difference(y_pred, y_true), axis=-1)
    return weight * tf.reduce_mean(squared)
