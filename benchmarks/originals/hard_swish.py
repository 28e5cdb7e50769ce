# probe: activation hard_swish(*x=real)
import tensorflow as tf


def hard_swish(x):
    return x * tf.minimum(tf.maximum(x + 3.0, 0.0), 6.0) / 6.0


layer = tf.keras.layers.Activation(hard_swish)
