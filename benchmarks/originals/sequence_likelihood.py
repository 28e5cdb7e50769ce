# probe: loss sequence_loss(y_true=onehot[4,40,3], *y_pred=simplex[4,40,3])
import tensorflow as tf


def sequence_loss(y_true, y_pred):
    chosen = tf.reduce_sum(y_true * y_pred, axis=-1)
    log_likelihood = tf.reduce_sum(tf.math.log(tf.maximum(chosen, 1e-6)), axis=-1)
    return -tf.reduce_mean(log_likelihood)
