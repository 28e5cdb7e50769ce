# probe: loss js_loss(y_true=simplex, *y_pred=simplex)
import tensorflow as tf


def divergence(p, q):
    return tf.reduce_sum(p * (tf.math.log(p) - tf.math.log(q)), axis=-1)


def js_loss(y_true, y_pred):
    epsilon = 1e-6
    p = (y_true + epsilon) / (1.0 + 3.0 * epsilon)
    q = (y_pred + epsilon) / (1.0 + 3.0 * epsilon)
    middle = 0.5 * (p + q)
    return tf.reduce_mean(0.5 * divergence(p, middle) + 0.5 * divergence(q, middle))
