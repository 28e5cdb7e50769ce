# probe: regularizer GroupLasso(*w=real)
import tensorflow as tf


class GroupLasso(tf.keras.regularizers.Regularizer):
    def __init__(self, strength=0.01):
        self.strength = strength

    def __call__(self, w):
        groups = tf.sqrt(tf.reduce_sum(tf.square(w), axis=0) + 1e-12)
        return self.strength * tf.reduce_sum(groups)


def elastic(w):
    return 1e-4 * tf.reduce_sum(tf.abs(w)) + 1e-4 * tf.reduce_sum(tf.square(w))


dense = tf.keras.layers.Dense(4, kernel_regularizer=elastic, bias_regularizer=GroupLasso())
