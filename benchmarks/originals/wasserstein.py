# probe: loss critic_loss(*real_scores=real[16,1], *fake_scores=real[16,1])
import tensorflow as tf


def critic_loss(real_scores, fake_scores):
    return tf.reduce_mean(fake_scores) - tf.reduce_mean(real_scores)


def generator_loss(fake_scores):
    return -tf.reduce_mean(fake_scores)


def gradient_penalty_loss(critic, real, fake):
    share = tf.random.uniform([tf.shape(real)[0], 1])
    between = real + share * (fake - real)
    with tf.GradientTape() as tape:
        tape.watch(between)
        scores = critic(between)
    slope = tape.gradient(scores, between)
    length = tf.sqrt(tf.reduce_sum(tf.square(slope), axis=-1) + 1e-12)
    return tf.reduce_mean(tf.square(length - 1.0))
