# probe: loss gaussian_nll(y_true=real[16,1], *y_pred=real[16,2])
import tensorflow as tf


def gaussian_nll(y_true, y_pred):
    mean, raw = tf.split(y_pred, 2, axis=-1)
    variance = tf.nn.softplus(raw) + 1e-4
    return tf.reduce_mean(0.5 * tf.math.log(variance) + 0.5 * tf.square(y_true - mean) / variance)
