# probe: layer GumbelSoftmax(*logits=logits)
import tensorflow as tf


class GumbelSoftmax(tf.keras.layers.Layer):
    def __init__(self, temperature=0.5):
        super().__init__()
        self.temperature = temperature

    def call(self, logits):
        uniform = tf.random.stateless_uniform(tf.shape(logits), [1, 2], 1e-6, 1.0 - 1e-6)
        noise = -tf.math.log(-tf.math.log(uniform))
        return tf.nn.softmax((logits + noise) / self.temperature, axis=-1)
