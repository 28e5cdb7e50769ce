# probe: loss smoothed_loss(y_true=ids, *y_pred=logits)
import tensorflow as tf


def smoothed_loss(y_true, y_pred):
    classes = 3
    labels = tf.one_hot(tf.cast(y_true, tf.int32), classes)
    labels = labels * 0.9 + 0.1 / classes
    entropy = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=y_pred)
    return tf.reduce_mean(entropy)
