# probe: loss smooth_l1_loss(y_true=real, *y_pred=real)
import tensorflow as tf


@tf.function
def smooth_l1_loss(y_true, y_pred):
    difference = tf.math.abs(tf.subtract(y_true, y_pred))
    small = tf.cast(difference < 1.0, tf.float32)
    loss = small * 0.5 * tf.pow(difference, 2.0) + (1.0 - small) * (difference - 0.5)
    return tf.reduce_mean(tf.reduce_sum(loss, axis=-1))
