# probe: layer Selu(*inputs=real)
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Activation, Layer


class Selu(Layer):
    def call(self, inputs):
        return selu(inputs)


def selu(x):
    scale, alpha = 1.0507, 1.67326
    return scale * (K.maximum(x, 0.0) + alpha * (K.exp(K.minimum(x, 0.0)) - 1.0))


layer = Activation(selu)
