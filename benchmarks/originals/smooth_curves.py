# probe: activation bent_identity(*x=real)
import tensorflow as tf


def bent_identity(x):
    return (tf.sqrt(tf.square(x) + 1.0) - 1.0) / 2.0 + x


def squareplus(x):
    return 0.5 * (x + tf.sqrt(tf.square(x) + 4.0))


def softsign(x):
    return x / (1.0 + tf.abs(x))


first = tf.keras.layers.Dense(8, activation=bent_identity)
second = tf.keras.layers.Dense(8, activation=squareplus)
third = tf.keras.layers.Dense(8, activation=softsign)
