# probe: loss weighted_error(y_true=real[16,1], *y_pred=real[16,1])
import tensorflow as tf


def absolute_loss(y_true, y_pred):
    return tf.reduce_mean(tf.abs(y_pred - y_true))


def squared_loss(y_true, y_pred):
    return tf.reduce_mean((y_pred - y_true) ** 2.0)


def weighted_error(y_true, y_pred):
    return 0.3 * absolute_loss(y_true, y_pred) + 0.7 * squared_loss(y_true, y_pred)


model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(optimizer="adam", loss=weighted_error)
