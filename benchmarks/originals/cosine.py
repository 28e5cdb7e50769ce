# probe: loss cosine_distance_loss(y_true=real, *y_pred=real)
import tensorflow as tf


def cosine_distance_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    similarity = tf.reduce_sum(a * b, axis=-1)
    return 1.0 - tf.reduce_mean(similarity)
