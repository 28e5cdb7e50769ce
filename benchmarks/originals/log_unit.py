# probe: activation signed_log(*x=real)
import tensorflow as tf


def signed_log(x):
    positive = x > 0.0
    up = tf.math.log(tf.where(positive, x, 1.0) + 1.0)
    return tf.where(positive, up, x)


layer = tf.keras.layers.Dense(8, activation=signed_log)
