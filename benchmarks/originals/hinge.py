# probe: loss Hinge.call(y_true=sign, *y_pred=real)
from keras import ops
from keras.losses import Loss


class Hinge(Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(ops.maximum(1.0 - y_true * y_pred, 0.0)), axis=-1)
