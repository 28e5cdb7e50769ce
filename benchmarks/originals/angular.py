# probe: loss angular_loss(y_true=real, *y_pred=real)
import tensorflow as tf


def angular_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    cosine = tf.clip_by_value(tf.reduce_sum(a * b, axis=-1), -0.999, 0.999)
    return tf.reduce_mean(tf.math.acos(cosine))
