# probe: loss kl_loss(y_true=simplex, *y_pred=simplex)
import tensorflow as tf


def kl_loss(y_true, y_pred):
    target = tf.clip_by_value(y_true, 1e-7, 1.0)
    guess = tf.clip_by_value(y_pred, 1e-7, 1.0)
    return tf.reduce_mean(tf.reduce_sum(target * tf.math.log(target / guess), axis=-1))
