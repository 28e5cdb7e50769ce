# probe: loss giou_loss(y_true=box, *y_pred=box)
import tensorflow as tf


def area(box):
    left, top, right, bottom = tf.unstack(box, 4, axis=-1)
    return tf.maximum(right - left, 0.0) * tf.maximum(bottom - top, 0.0)


def giou_loss(y_true, y_pred):
    low = tf.maximum(y_true[..., :2], y_pred[..., :2])
    high = tf.minimum(y_true[..., 2:], y_pred[..., 2:])
    overlap = area(tf.concat([low, high], axis=-1))
    union = area(y_true) + area(y_pred) - overlap
    hull_low = tf.minimum(y_true[..., :2], y_pred[..., :2])
    hull_high = tf.maximum(y_true[..., 2:], y_pred[..., 2:])
    hull = area(tf.concat([hull_low, hull_high], axis=-1))
    iou = tf.math.divide_no_nan(overlap, union)
    giou = iou - tf.math.divide_no_nan(hull - union, hull)
    return tf.reduce_mean(1.0 - giou)
