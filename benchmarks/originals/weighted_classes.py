# probe: loss weighted_loss(y_true=onehot, *y_pred=simplex)
import tensorflow as tf
from tensorflow.keras import backend as K


def weighted_categorical(weights):
    weights = K.constant(weights)

    def weighted_loss(y_true, y_pred):
        y_pred = y_pred / K.maximum(K.sum(y_pred, axis=-1, keepdims=True), 1e-6)
        y_pred = K.clip(y_pred, K.epsilon(), 1.0 - K.epsilon())
        return K.mean(-K.sum(y_true * K.log(y_pred) * weights, axis=-1))

    return weighted_loss


weighted_loss = weighted_categorical([1.0, 2.0, 5.0])
model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="softmax")])
model.compile("adam", loss=weighted_categorical([1.0, 2.0, 5.0]))
