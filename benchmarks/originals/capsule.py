# probe: layer Squash(*inputs=real[4,5,3])
import tensorflow as tf


class Squash(tf.keras.layers.Layer):
    def call(self, inputs):
        squared = tf.reduce_sum(tf.square(inputs), axis=-1, keepdims=True)
        return squared / (1.0 + squared) * inputs / tf.sqrt(squared + 1e-7)
