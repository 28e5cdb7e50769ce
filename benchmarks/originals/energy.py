# probe: loss energy_loss(*energies=real[16,5])
import tensorflow as tf


def energy_loss(energies):
    free = -tf.reduce_logsumexp(-energies, axis=-1)
    return tf.reduce_mean(tf.square(free))
