# probe: loss focal_loss(y_true=binary, *y_pred=probability)
import tensorflow as tf


def make_focal(gamma=2.0, alpha=0.25):
    def focal_loss(y_true, y_pred):
        p = tf.clip_by_value(y_pred, 1e-6, 1.0 - 1e-6)
        positive = -alpha * y_true * tf.pow(1.0 - p, gamma) * tf.math.log(p)
        negative = -(1.0 - alpha) * (1.0 - y_true) * tf.pow(p, gamma) * tf.math.log(1.0 - p)
        return tf.reduce_mean(positive + negative)

    return focal_loss


focal_loss = make_focal()
model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid")])
model.compile(optimizer="adam", loss=make_focal())
