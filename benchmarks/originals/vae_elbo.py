# probe: loss elbo_loss(x=binary, *decoded=logits, *mean=real[16,2], *log_var=real[16,2])
import tensorflow as tf


def elbo_loss(x, decoded, mean, log_var):
    log_var = tf.clip_by_value(log_var, -10.0, 10.0)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=decoded)
    reconstruction = tf.reduce_sum(entropy, axis=-1)
    kl = -0.5 * tf.reduce_sum(1.0 + log_var - tf.square(mean) - tf.exp(log_var), axis=-1)
    return tf.reduce_mean(reconstruction + kl)
