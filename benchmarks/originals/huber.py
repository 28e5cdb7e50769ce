# probe: loss Huber.call(y_true=real[16,1], *y_pred=real[16,1])
import tensorflow as tf


class Huber(tf.keras.losses.Loss):
    def __init__(self, delta=1.0):
        super().__init__()
        self.delta = delta

    def call(self, y_true, y_pred):
        error = tf.abs(y_true - y_pred)
        quadratic = 0.5 * tf.square(error)
        linear = self.delta * error - 0.5 * self.delta**2
        return tf.reduce_mean(tf.where(error <= self.delta, quadratic, linear), axis=-1)
