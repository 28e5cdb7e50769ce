# probe: activation cool_softmax(*x=real)
import tensorflow as tf


def cool_softmax(x, temperature=2.0):
    scaled = x / temperature
    shifted = scaled - tf.reduce_max(scaled, axis=-1, keepdims=True)
    powers = tf.exp(shifted)
    return powers / tf.reduce_sum(powers, axis=-1, keepdims=True)


layer = tf.keras.layers.Dense(8, activation=cool_softmax)
