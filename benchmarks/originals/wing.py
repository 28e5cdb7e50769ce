# probe: loss wing_loss(y_true=real, *y_pred=real)
import math

import tensorflow as tf


def wing_loss(y_true, y_pred, w=10.0, curvature=2.0):
    error = tf.abs(y_true - y_pred)
    offset = w * (1.0 - math.log(1.0 + w / curvature))
    near = w * tf.math.log(1.0 + error / curvature)
    return tf.reduce_mean(tf.where(error < w, near, error - offset))
