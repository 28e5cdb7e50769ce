# probe: loss total_loss(y_true=onehot, *y_pred=logits)
import tensorflow as tf


def total_loss(y_true, y_pred):
    entropy = tf.keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=True)
    shares = tf.nn.softmax(y_pred, axis=-1)
    return tf.reduce_mean(entropy) + 0.1 * tf.reduce_mean(tf.square(y_true - shares))
