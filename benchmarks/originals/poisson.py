# probe: loss poisson_loss(y_true=count, *y_pred=positive)
import tensorflow as tf


class Poisson(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        return poisson_loss(y_true, y_pred)


def poisson_loss(y_true, y_pred):
    y_pred = tf.convert_to_tensor(y_pred)
    y_true = tf.cast(y_true, y_pred.dtype)
    return tf.reduce_mean(y_pred - y_true * tf.math.log(y_pred + 1e-7))
