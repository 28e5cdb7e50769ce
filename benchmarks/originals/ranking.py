# probe: loss ranking_loss(*liked=real[16], *other=real[16])
from keras import ops


def ranking_loss(liked, other):
    return -ops.mean(ops.log_sigmoid(liked - other))
