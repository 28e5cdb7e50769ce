# probe: loss jaccard_distance(y_true=binary, *y_pred=probability)
import tensorflow as tf
import tensorflow.keras.backend as K


def jaccard_distance(y_true, y_pred, smooth=100.0):
    overlap = K.sum(K.abs(y_true * y_pred), axis=-1)
    total = K.sum(K.abs(y_true) + K.abs(y_pred), axis=-1)
    jaccard = (overlap + smooth) / (total - overlap + smooth)
    return K.mean((1.0 - jaccard) * smooth)


model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid")])
model.compile(optimizer="adam", loss=jaccard_distance)
