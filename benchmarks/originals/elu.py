# probe: activation elu(*x=real)
import tensorflow as tf


def elu(x, alpha=1.0):
    negative = tf.minimum(x, 0.0)
    return tf.where(x > 0.0, x, alpha * tf.math.expm1(negative))


layer = tf.keras.layers.Dense(8, activation=elu)
