# probe: loss discriminator_loss(*real_logits=logits[16,1], *fake_logits=logits[16,1])
import tensorflow as tf

cross_entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)


def discriminator_loss(real_logits, fake_logits):
    real = cross_entropy(tf.ones_like(real_logits), real_logits)
    fake = cross_entropy(tf.zeros_like(fake_logits), fake_logits)
    return real + fake


def generator_loss(fake_logits):
    return cross_entropy(tf.ones_like(fake_logits), fake_logits)
