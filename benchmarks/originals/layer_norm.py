# probe: layer Standardise(*inputs=real)
import tensorflow as tf


class Standardise(tf.keras.layers.Layer):
    def __init__(self, eps=1e-5):
        super().__init__()
        self.eps = eps

    def call(self, inputs):
        mean = tf.reduce_mean(inputs, axis=-1, keepdims=True)
        variance = tf.math.reduce_variance(inputs, axis=-1, keepdims=True)
        return (inputs - mean) * tf.math.rsqrt(variance + self.eps)
