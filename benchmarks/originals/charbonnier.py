# probe: loss charbonnier_loss(y_true=real[4,8,8,1], *y_pred=real[4,8,8,1])
import tensorflow as tf


def charbonnier_loss(y_true, y_pred, eps=1e-3):
    return tf.reduce_mean(tf.sqrt(tf.square(y_true - y_pred) + eps * eps))
