# probe: activation serf(*x=real)
import tensorflow as tf


def serf(x):
    return x * tf.math.erf(tf.math.softplus(x))


layer = tf.keras.layers.Dense(8, activation=serf)
