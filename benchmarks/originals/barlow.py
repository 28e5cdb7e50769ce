# probe: loss redundancy_loss(*first=real[16,4], *second=real[16,4])
import tensorflow as tf


def standardised(z):
    centred = z - tf.reduce_mean(z, axis=0)
    return centred / tf.sqrt(tf.reduce_mean(tf.square(centred), axis=0) + 1e-4)


def redundancy_loss(first, second):
    count = tf.cast(tf.shape(first)[0], tf.float32)
    cross = tf.matmul(standardised(first), standardised(second), transpose_a=True) / count
    target = tf.eye(tf.shape(first)[1])
    weight = target + 0.005 * (1.0 - target)
    return tf.reduce_sum(weight * tf.square(cross - target))
