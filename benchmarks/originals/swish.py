# probe: activation swish(*x=real)
import tensorflow as tf


def swish(x):
    return x * tf.nn.sigmoid(x)


layer = tf.keras.layers.Dense(8, activation=swish)
