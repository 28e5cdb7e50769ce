# probe: loss quantile_loss(y_true=real[16,1], *y_pred=real[16,1])
import tensorflow as tf


def pinball(q):
    def quantile_loss(y_true, y_pred):
        error = y_true - y_pred
        return tf.reduce_mean(tf.maximum(q * error, (q - 1.0) * error))

    return quantile_loss


quantile_loss = pinball(0.9)
model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(optimizer="adam", loss=quantile_loss)
