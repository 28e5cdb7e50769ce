# probe: layer Radial(*inputs=real[16,4])
import tensorflow as tf


class Radial(tf.keras.layers.Layer):
    def __init__(self, width=0.5):
        super().__init__()
        self.width = width
        self.centres = tf.constant([[0.0, 0.5, 0.0, 1.0], [1.0, 0.0, -1.0, 0.0]])

    def call(self, inputs):
        error = inputs[:, tf.newaxis, :] - self.centres
        return tf.exp(-self.width * tf.reduce_sum(tf.square(error), axis=-1))
