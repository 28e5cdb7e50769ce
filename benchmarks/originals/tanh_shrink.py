# probe: activation tanh_shrink(*z=real)
import tensorflow as tf

tanh_shrink = tf.keras.utils.register_keras_serializable()(lambda z: z - tf.math.tanh(z))
layer = tf.keras.layers.Dense(8, activation=tanh_shrink)
