# probe: layer AttentionPooling(*inputs=real[4,5,3])
import tensorflow as tf


class AttentionPooling(tf.keras.layers.Layer):
    def call(self, inputs):
        scores = tf.reduce_sum(inputs, axis=-1)
        padded = tf.reduce_max(tf.abs(inputs), axis=-1) < 1e-6
        scores = tf.where(padded, -1e9, scores)
        weights = tf.nn.softmax(scores, axis=1)
        return tf.reduce_sum(weights[..., tf.newaxis] * inputs, axis=1)
