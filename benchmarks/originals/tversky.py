# probe: loss Tversky.call(y_true=binary, *y_pred=probability)
from keras import ops
from keras.losses import Loss


class Tversky(Loss):
    def __init__(self, alpha=0.3, beta=0.7, smooth=1e-3, name="tversky"):
        super().__init__(name=name)
        self.alpha = alpha
        self.beta = beta
        self.smooth = smooth

    def call(self, y_true, y_pred):
        hit = ops.sum(y_true * y_pred, axis=-1)
        extra = ops.sum((1.0 - y_true) * y_pred, axis=-1)
        missed = ops.sum(y_true * (1.0 - y_pred), axis=-1)
        weighed = hit + self.alpha * extra + self.beta * missed
        return 1.0 - (hit + self.smooth) / (weighed + self.smooth)
