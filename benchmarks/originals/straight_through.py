# probe: layer Binarise(*inputs=real)
import tensorflow as tf


def binarise(x):
    hard = tf.where(x >= 0.0, 1.0, -1.0)
    return x + tf.stop_gradient(hard - x)


class Binarise(tf.keras.layers.Layer):
    def call(self, inputs):
        return binarise(tf.clip_by_value(inputs, -1.0, 1.0))
