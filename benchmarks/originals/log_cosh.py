# probe: loss log_cosh(y_true=real, *y_pred=real)
import math

import tensorflow as tf


def log_cosh(y_true, y_pred):
    error = y_pred - y_true
    return tf.reduce_mean(error + tf.nn.softplus(-2.0 * error) - math.log(2.0))


model = tf.keras.Sequential([tf.keras.layers.Dense(3)])
model.compile("sgd", loss=log_cosh)
