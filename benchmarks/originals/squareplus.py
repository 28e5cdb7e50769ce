# probe: activation squareplus(*x=real)
from tensorflow import sqrt
from tensorflow.keras.layers import Dense


def squareplus(x, b=4.0):
    return (x + sqrt(x * x + b)) / 2.0


layer = Dense(8, activation=squareplus)
