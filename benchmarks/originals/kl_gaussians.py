# probe: loss kl_loss(y_true=real[16,4], *y_pred=real[16,4])
import tensorflow as tf


def kl_loss(y_true, y_pred):
    m1, s1 = tf.split(y_true, 2, axis=-1)
    m2, s2 = tf.split(y_pred, 2, axis=-1)
    s1 = tf.clip_by_value(s1, -5.0, 5.0)
    s2 = tf.clip_by_value(s2, -5.0, 5.0)
    ratio = (tf.exp(2.0 * s1) + tf.square(m1 - m2)) / (2.0 * tf.exp(2.0 * s2))
    return tf.reduce_mean(s2 - s1 + ratio - 0.5)
