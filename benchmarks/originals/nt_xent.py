# probe: loss pair_loss(*first=real[8,4], *second=real[8,4])
import tensorflow as tf


def pair_loss(first, second, temperature=0.5):
    views = tf.math.l2_normalize(tf.concat([first, second], axis=0), axis=-1)
    scores = tf.matmul(views, views, transpose_b=True) / temperature
    size = tf.shape(first)[0]
    scores = scores - 1e9 * tf.eye(2 * size)
    partner = tf.concat([tf.range(size, 2 * size), tf.range(size)], axis=0)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=partner, logits=scores)
    return tf.reduce_mean(entropy)
