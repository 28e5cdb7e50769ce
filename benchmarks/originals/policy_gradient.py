# probe: loss policy_loss(actions=onehot, *logits=logits, advantage=real[16])
import tensorflow as tf


def policy_loss(actions, logits, advantage):
    log_p = tf.nn.log_softmax(logits)
    chosen = tf.reduce_sum(actions * log_p, axis=-1)
    entropy = -tf.reduce_sum(tf.exp(log_p) * log_p, axis=-1)
    return -tf.reduce_mean(chosen * tf.stop_gradient(advantage)) - 0.01 * tf.reduce_mean(entropy)
