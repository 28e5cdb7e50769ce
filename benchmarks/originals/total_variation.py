# probe: loss smooth_image_loss(y_true=unit[4,8,8,1], *y_pred=unit[4,8,8,1])
import tensorflow as tf


def smooth_image_loss(y_true, y_pred):
    down = y_pred[:, 1:, :, :] - y_pred[:, :-1, :, :]
    right = y_pred[:, :, 1:, :] - y_pred[:, :, :-1, :]
    variation = tf.reduce_mean(tf.abs(down)) + tf.reduce_mean(tf.abs(right))
    return tf.reduce_mean(tf.abs(y_true - y_pred)) + 0.1 * variation
