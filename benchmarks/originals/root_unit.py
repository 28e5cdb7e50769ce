# probe: activation root_unit(*x=real)
import tensorflow as tf
from tensorflow.keras.layers import Lambda


def root_unit(x):
    above = x > 1.0
    safe = tf.where(above, x, tf.ones_like(x))
    return tf.where(above, 2.0 * tf.sqrt(safe) - 1.0, x)


layer = Lambda(root_unit)
