# probe: activation snake(*x=real)
import tensorflow as tf


def make_snake(a):
    def snake(x):
        return x + tf.square(tf.sin(a * x)) / a

    return snake


snake = make_snake(0.5)
layer = tf.keras.layers.Dense(8, activation=make_snake(0.5))
