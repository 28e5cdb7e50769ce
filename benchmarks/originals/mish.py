# probe: activation mish(*inputs=real)
from keras import ops
from keras.layers import Dense


def mish(inputs):
    return inputs * ops.tanh(ops.softplus(inputs))


layer = Dense(8, activation=mish)
