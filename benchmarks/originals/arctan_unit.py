# probe: activation arctan_unit(*x=real)
import tensorflow as tf


@tf.function
def arctan_unit(x):
    return tf.math.atan(x) + 0.1 * x


layer = tf.keras.layers.Dense(8, activation=arctan_unit)
