# probe: layer MaskedAttention(*queries=real[2,4,8])
import tensorflow as tf


class MaskedAttention(tf.keras.layers.Layer):
    def call(self, queries):
        scores = tf.matmul(queries, queries, transpose_b=True) / 8.0**0.5
        keep = tf.cast(tf.reduce_sum(tf.abs(queries), axis=-1) > 0.0, tf.float32)
        scores = scores + (1.0 - keep[:, tf.newaxis, :]) * -1e9
        weights = tf.nn.softmax(scores, axis=-1)
        return tf.matmul(weights, queries)
