# probe: activation quantise(*x=real)
from keras import ops
from keras.layers import Dense


def quantise(x):
    squashed = ops.tanh(x)
    steps = ops.round(squashed * 8.0) / 8.0
    return squashed + ops.stop_gradient(steps - squashed)


layer = Dense(8, activation=quantise)
