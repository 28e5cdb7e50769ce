# probe: layer RmsNorm(*inputs=real)
from keras import ops
from keras.layers import Layer


class RmsNorm(Layer):
    def call(self, inputs):
        power = ops.mean(ops.square(inputs), axis=-1, keepdims=True)
        return inputs * ops.rsqrt(power + 1e-6)
