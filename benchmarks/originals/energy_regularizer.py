# probe: regularizer Orthogonal(*w=real[4,3])
import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="mine")
class Orthogonal(tf.keras.regularizers.Regularizer):
    def __call__(self, w):
        gram = tf.matmul(w, w, transpose_a=True)
        return 1e-3 * tf.reduce_sum(tf.square(gram - tf.eye(3)))
