# probe: loss contrast_loss(*queries=real[8,4], *keys=real[8,4])
import tensorflow as tf

TEMPERATURE = 0.1


def contrast_loss(queries, keys):
    queries = tf.math.l2_normalize(queries, axis=-1)
    keys = tf.math.l2_normalize(keys, axis=-1)
    scores = tf.matmul(queries, keys, transpose_b=True) / TEMPERATURE
    ids = tf.range(tf.shape(scores)[0])
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=scores)
    return tf.reduce_mean(entropy)
