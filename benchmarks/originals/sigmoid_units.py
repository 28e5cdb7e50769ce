# probe: activation scaled_tanh(*x=real)
import tensorflow as tf


def scaled_tanh(x):
    return 1.7159 * tf.tanh(2.0 / 3.0 * x)


gate = tf.keras.layers.Dense(8, activation=lambda x: tf.sigmoid(x))
layer = tf.keras.layers.Dense(8, activation=scaled_tanh)
