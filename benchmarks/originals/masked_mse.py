# probe: loss masked_loss(y_true=real, *y_pred=real)
import tensorflow as tf


def masked_loss(y_true, y_pred):
    mask = tf.cast(tf.not_equal(y_true, 0.0), tf.float32)
    squared = tf.square(y_true - y_pred) * mask
    return tf.math.divide_no_nan(tf.reduce_sum(squared), tf.reduce_sum(mask))
