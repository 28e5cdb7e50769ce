# probe: loss SoftIoU.call(y_true=binary[4,8,8,1], *y_pred=logits[4,8,8,1])
import tensorflow as tf


class SoftIoU(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        p = tf.sigmoid(y_pred)
        overlap = tf.reduce_sum(y_true * p, axis=[1, 2, 3])
        union = tf.reduce_sum(y_true + p - y_true * p, axis=[1, 2, 3])
        return 1.0 - (overlap + 1.0) / (union + 1.0)
