# probe: loss triplet_loss(*anchor=real, *positive=real, *negative=real)
import tensorflow as tf


def distance(a, b):
    squared = tf.reduce_sum(tf.square(a - b), axis=-1)
    return tf.sqrt(tf.maximum(squared, 1e-12))


def triplet_loss(anchor, positive, negative, margin=0.5):
    gap = distance(anchor, positive) - distance(anchor, negative)
    return tf.reduce_mean(tf.maximum(gap + margin, 0.0))
