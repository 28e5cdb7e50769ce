# probe: loss similarity_loss(y_true=unit[4,8,8,1], *y_pred=unit[4,8,8,1])
import tensorflow as tf


def similarity_loss(y_true, y_pred):
    c1, c2 = 0.01**2, 0.03**2
    axes = [1, 2, 3]
    m1 = tf.reduce_mean(y_true, axis=axes, keepdims=True)
    m2 = tf.reduce_mean(y_pred, axis=axes, keepdims=True)
    v1 = tf.reduce_mean(tf.square(y_true - m1), axis=axes, keepdims=True)
    v2 = tf.reduce_mean(tf.square(y_pred - m2), axis=axes, keepdims=True)
    cross = tf.reduce_mean((y_true - m1) * (y_pred - m2), axis=axes, keepdims=True)
    top = (2.0 * m1 * m2 + c1) * (2.0 * cross + c2)
    bottom = (tf.square(m1) + tf.square(m2) + c1) * (v1 + v2 + c2)
    return tf.reduce_mean(1.0 - top / bottom)
