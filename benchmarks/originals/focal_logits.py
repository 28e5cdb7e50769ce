# probe: loss focal_loss(y_true=binary, *logits=logits)
from tensorflow import nn, reduce_mean
from tensorflow.math import exp, log_sigmoid


def focal_loss(y_true, logits):
    log_p = log_sigmoid(logits)
    log_q = log_sigmoid(-logits)
    positive = y_true * (1.0 - exp(log_p)) ** 2.0 * log_p
    negative = (1.0 - y_true) * nn.sigmoid(logits) ** 2.0 * log_q
    return -reduce_mean(positive + negative)
