# probe: activation thresholded(*x=real)
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Dense


def thresholded(x):
    return K.maximum(x, -1.0) + 0.01 * K.minimum(x + 1.0, 0.0)


layer = Dense(8, activation=thresholded)
