# probe: loss square_loss(y_true=real, *y_pred=real)
import tensorflow as tf


@tf.custom_gradient
def squared(x):
    def grad(upstream):
        return upstream * 2.0 * x

    return tf.square(x), grad


def square_loss(y_true, y_pred):
    return tf.reduce_mean(squared(y_true - y_pred))
