# probe: layer SoftAttention(*inputs=real)
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Layer


class SoftAttention(Layer):
    def call(self, inputs):
        powers = K.exp(inputs - K.max(inputs, axis=-1, keepdims=True))
        weights = powers / K.sum(powers, axis=-1, keepdims=True)
        return weights * inputs
