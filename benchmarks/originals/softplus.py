# probe: activation stable_softplus(*x=real)
import tensorflow as tf


@tf.keras.utils.register_keras_serializable()
def stable_softplus(x):
    return tf.maximum(x, 0.0) + tf.math.log1p(tf.exp(-tf.abs(x)))


layer = tf.keras.layers.Dense(8, activation=stable_softplus)
