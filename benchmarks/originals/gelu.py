# probe: activation gelu(*x=real)
import math

import tensorflow as tf


def gelu(x):
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * tf.pow(x, 3))
    return 0.5 * x * (1.0 + tf.tanh(inner))


layer = tf.keras.layers.Dense(8, activation=gelu)
