"""Well-known losses, written by hand in the styles people write them: all of them correct."""

from __future__ import annotations

from typing import Final

_HEADER: Final = """\
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import backend as K
from keras import ops

"""

# Name of the loss, and its definition.
_LOSSES: Final[dict[str, str]] = {
    "adversarial_hinge": """
def discriminator_loss(real_logits, fake_logits):
    real = tf.reduce_mean(tf.minimum(real_logits - 1.0, 0.0))
    fake = tf.reduce_mean(tf.minimum(-1.0 - fake_logits, 0.0))
    return -real - fake
""",
    "sum_over_features_and_mean": """
def elbo_loss(y_true, logits, mean, log_var):
    log_var = tf.clip_by_value(log_var, -10.0, 10.0)
    fit = tf.nn.sigmoid_cross_entropy_with_logits(labels=y_true, logits=logits)
    gap = tf.reduce_sum(tf.square(mean) + tf.exp(log_var) - 1.0 - log_var, axis=-1)
    return tf.reduce_mean(tf.reduce_sum(fit, axis=-1) + 0.5 * gap)
""",
    "mean_similarity_from_one": """
def direction_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    return 1.0 - tf.reduce_sum(a * b) / tf.cast(tf.shape(a)[0], tf.float32)
""",
    "sorted_labels": """
def transport_loss(y_true, y_pred):
    gap = tf.sort(y_true, axis=-1) - tf.sort(tf.nn.sigmoid(y_pred), axis=-1)
    return tf.reduce_mean(tf.square(gap))
""",
    "column_wise_root": """
def column_loss(y_true, y_pred):
    return tf.reduce_mean(tf.sqrt(tf.reduce_mean(tf.square(y_true - y_pred), axis=0) + 1e-6))
""",
    "mse": """
def mse_loss(y_true, y_pred):
    return tf.reduce_mean(tf.square(y_true - y_pred))
""",
    "mse_per_sample": """
class Squared(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_pred - y_true), axis=-1)
""",
    "rmse": """
def root_mean_squared_error(y_true, y_pred):
    return K.sqrt(K.mean(K.square(y_pred - y_true), axis=-1) + 1e-6)
""",
    "mae": """
def mae_loss(y_true, y_pred):
    return K.mean(K.abs(y_pred - y_true), axis=-1)
""",
    "mape": """
def percentage_loss(y_true, y_pred):
    scale = tf.maximum(tf.abs(y_true), 1e-3)
    return 100.0 * tf.reduce_mean(tf.abs(y_true - y_pred) / scale, axis=-1)
""",
    "smape": """
def smape_loss(y_true, y_pred):
    total = tf.abs(y_true) + tf.abs(y_pred) + 1e-3
    return tf.reduce_mean(2.0 * tf.abs(y_pred - y_true) / total, axis=-1)
""",
    "huber": """
def huber_loss(y_true, y_pred, delta=1.0):
    error = y_true - y_pred
    size = tf.abs(error)
    near = 0.5 * tf.square(error)
    far = delta * (size - 0.5 * delta)
    return tf.reduce_mean(tf.where(size <= delta, near, far))
""",
    "pseudo_huber": """
def pseudo_huber(delta):
    def loss(y_true, y_pred):
        scaled = (y_true - y_pred) / delta
        return ops.mean(delta**2 * (ops.sqrt(1.0 + ops.square(scaled)) - 1.0), axis=-1)

    return loss


def compile_model(model):
    model.compile("adam", loss=pseudo_huber(1.0))
""",
    "log_cosh": """
def log_cosh_loss(y_true, y_pred):
    x = y_pred - y_true
    return tf.reduce_mean(x + tf.math.softplus(-2.0 * x) - 0.6931472)
""",
    "cauchy": """
def cauchy_loss(y_true, y_pred):
    return tf.reduce_mean(tf.math.log1p(tf.square((y_true - y_pred) / 2.0)))
""",
    "charbonnier": """
def charbonnier_loss(y_true, y_pred):
    return tf.reduce_mean(tf.sqrt(tf.square(y_true - y_pred) + 1e-6))
""",
    "quantile": """
def quantile_loss(q):
    def loss(y_true, y_pred):
        error = y_true - y_pred
        return K.mean(K.maximum(q * error, (q - 1.0) * error), axis=-1)

    return loss


def compile_model(model):
    model.compile("adam", loss=quantile_loss(0.9))
""",
    "epsilon_insensitive": """
def svr_loss(y_true, y_pred):
    return tf.reduce_mean(tf.maximum(tf.abs(y_true - y_pred) - 0.1, 0.0))
""",
    "bce_probabilities": """
def binary_loss(y_true, y_pred):
    p = K.clip(y_pred, K.epsilon(), 1.0 - K.epsilon())
    return -K.mean(y_true * K.log(p) + (1.0 - y_true) * K.log(1.0 - p), axis=-1)
""",
    "bce_logits": """
def logit_loss(labels, logits):
    stable = tf.maximum(logits, 0.0) - logits * labels
    return tf.reduce_mean(stable + tf.math.log1p(tf.exp(-tf.abs(logits))))
""",
    "weighted_bce": """
def weighted_binary_loss(y_true, y_pred):
    entropy = K.binary_crossentropy(y_true, y_pred)
    weight = y_true * 3.0 + (1.0 - y_true) * 0.5
    return K.mean(weight * entropy, axis=-1)
""",
    "cce_probabilities": """
def cross_entropy_loss(y_true, y_pred):
    p = y_pred / (tf.reduce_sum(y_pred, axis=-1, keepdims=True) + 1e-7)
    p = tf.clip_by_value(p, 1e-7, 1.0 - 1e-7)
    return -tf.reduce_sum(y_true * tf.math.log(p), axis=-1)
""",
    "cce_logits": """
def logits_loss(y_true, logits):
    return -tf.reduce_mean(tf.reduce_sum(y_true * tf.nn.log_softmax(logits), axis=-1))
""",
    "sparse_cce": """
def sparse_loss(labels, logits):
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(entropy)
""",
    "label_smoothing": """
def smoothed_loss(y_true, logits):
    smooth = y_true * 0.9 + 0.1 / tf.cast(tf.shape(y_true)[-1], tf.float32)
    return tf.nn.softmax_cross_entropy_with_logits(labels=smooth, logits=logits)
""",
    "focal_binary": """
def focal_loss(gamma=2.0, alpha=0.25):
    def loss(y_true, y_pred):
        p = K.clip(y_pred, 1e-7, 1.0 - 1e-7)
        p_t = y_true * p + (1.0 - y_true) * (1.0 - p)
        weight = y_true * alpha + (1.0 - y_true) * (1.0 - alpha)
        return K.mean(-weight * K.pow(1.0 - p_t, gamma) * K.log(p_t), axis=-1)

    return loss


def compile_model(model):
    model.compile(optimizer="adam", loss=focal_loss())
""",
    "focal_categorical": """
class CategoricalFocal(tf.keras.losses.Loss):
    def __init__(self, gamma=2.0):
        super().__init__()
        self.gamma = gamma

    def call(self, y_true, y_pred):
        p = tf.clip_by_value(y_pred, 1e-7, 1.0 - 1e-7)
        entropy = -y_true * tf.math.log(p)
        return tf.reduce_sum(tf.pow(1.0 - p, self.gamma) * entropy, axis=-1)
""",
    "focal_logits": """
def focal_from_logits_loss(y_true, logits):
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=y_true, logits=logits)
    p = tf.sigmoid(logits)
    p_t = y_true * p + (1.0 - y_true) * (1.0 - p)
    return tf.reduce_mean(tf.square(1.0 - p_t) * entropy)
""",
    "dice": """
def dice_coef(y_true, y_pred, smooth=1.0):
    a = K.flatten(y_true)
    b = K.flatten(y_pred)
    return (2.0 * K.sum(a * b) + smooth) / (K.sum(a) + K.sum(b) + smooth)


def dice_loss(y_true, y_pred):
    return 1.0 - dice_coef(y_true, y_pred)
""",
    "negative_dice": """
def dice_coef_loss(y_true, y_pred):
    overlap = K.sum(y_true * y_pred)
    return -(2.0 * overlap + 1.0) / (K.sum(K.square(y_true)) + K.sum(K.square(y_pred)) + 1.0)
""",
    "dice_per_class": """
def multiclass_dice_loss(y_true, y_pred):
    axes = (0, 1, 2)
    overlap = tf.reduce_sum(y_true * y_pred, axis=axes)
    total = tf.reduce_sum(y_true + y_pred, axis=axes)
    return 1.0 - tf.reduce_mean((2.0 * overlap + 1e-6) / (total + 1e-6))
""",
    "dice_of_logits": """
def soft_dice_loss(y_true, logits):
    p = tf.nn.sigmoid(logits)
    overlap = tf.reduce_sum(p * y_true, axis=-1)
    total = tf.reduce_sum(p + y_true, axis=-1)
    return 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
""",
    "jaccard": """
def jaccard_distance_loss(y_true, y_pred, smooth=100):
    overlap = K.sum(K.abs(y_true * y_pred), axis=-1)
    total = K.sum(K.abs(y_true) + K.abs(y_pred), axis=-1)
    return (1 - (overlap + smooth) / (total - overlap + smooth)) * smooth
""",
    "log_iou": """
def log_iou_loss(y_true, y_pred):
    overlap = tf.reduce_sum(y_true * y_pred)
    union = tf.reduce_sum(y_true) + tf.reduce_sum(y_pred) - overlap
    return -tf.math.log((overlap + 1.0) / (union + 1.0))
""",
    "tversky": """
def tversky_loss(y_true, y_pred):
    hits = K.sum(y_true * y_pred)
    misses = K.sum(y_true * (1.0 - y_pred))
    alarms = K.sum((1.0 - y_true) * y_pred)
    return 1.0 - (hits + 1.0) / (hits + 0.7 * misses + 0.3 * alarms + 1.0)
""",
    "focal_tversky": """
def focal_tversky_loss(y_true, y_pred):
    hits = tf.reduce_sum(y_true * y_pred)
    misses = tf.reduce_sum(y_true * (1.0 - y_pred))
    alarms = tf.reduce_sum((1.0 - y_true) * y_pred)
    index = (hits + 1.0) / (hits + 0.7 * misses + 0.3 * alarms + 1.0)
    return tf.pow(1.0001 - index, 0.75)
""",
    "bce_dice": """
def bce_dice_loss(y_true, y_pred):
    entropy = keras.losses.binary_crossentropy(y_true, y_pred)
    overlap = K.sum(y_true * y_pred)
    dice = (2.0 * overlap + 1.0) / (K.sum(y_true) + K.sum(y_pred) + 1.0)
    return K.mean(entropy) + 1.0 - dice
""",
    "hinge": """
def hinge_loss(y_true, y_pred):
    return ops.mean(ops.maximum(1.0 - y_true * y_pred, 0.0), axis=-1)
""",
    "squared_hinge": """
def squared_hinge_loss(y_true, y_pred):
    sign = 2.0 * y_true - 1.0
    return tf.reduce_mean(tf.square(tf.nn.relu(1.0 - sign * y_pred)))
""",
    "logistic": """
def logistic_loss(y_true, y_pred):
    return tf.reduce_mean(tf.math.softplus(-y_true * y_pred))
""",
    "kl": """
def kl_loss(y_true, y_pred):
    t = K.clip(y_true, K.epsilon(), 1)
    p = K.clip(y_pred, K.epsilon(), 1)
    return K.sum(t * K.log(t / p), axis=-1)
""",
    "poisson": """
def poisson_loss(y_true, y_pred):
    return tf.reduce_mean(y_pred - y_true * tf.math.log(y_pred + 1e-7), axis=-1)
""",
    "poisson_log_rate": """
def poisson_nll_loss(y_true, log_rate):
    return tf.reduce_mean(tf.exp(tf.minimum(log_rate, 20.0)) - y_true * log_rate)
""",
    "cosine": """
def cosine_loss(y_true, y_pred):
    a = tf.math.l2_normalize(y_true, axis=-1)
    b = tf.math.l2_normalize(y_pred, axis=-1)
    return 1.0 - tf.reduce_sum(a * b, axis=-1)
""",
    "negative_cosine": """
def cosine_proximity_loss(y_true, y_pred):
    y_true = K.l2_normalize(y_true, axis=-1)
    y_pred = K.l2_normalize(y_pred, axis=-1)
    return -K.mean(y_true * y_pred, axis=-1)
""",
    "pearson": """
def pearson_loss(y_true, y_pred):
    x = y_true - K.mean(y_true, axis=0)
    y = y_pred - K.mean(y_pred, axis=0)
    scale = K.sqrt(K.sum(K.square(x), axis=0) * K.sum(K.square(y), axis=0) + 1e-6)
    return 1.0 - K.mean(K.sum(x * y, axis=0) / scale)
""",
    "contrastive": """
def contrastive_loss(y_true, y_pred):
    margin = 1.0
    near = y_true * K.square(y_pred)
    far = (1.0 - y_true) * K.square(K.maximum(margin - y_pred, 0.0))
    return K.mean(near + far)
""",
    "triplet": """
def triplet_loss(y_true, y_pred, alpha=0.2):
    anchor, positive, negative = y_pred[:, 0], y_pred[:, 1], y_pred[:, 2]
    near = tf.reduce_sum(tf.square(anchor - positive), axis=-1)
    far = tf.reduce_sum(tf.square(anchor - negative), axis=-1)
    return tf.reduce_mean(tf.maximum(near - far + alpha, 0.0))
""",
    "ntxent": """
def ntxent_loss(first, second):
    a = tf.math.l2_normalize(first, axis=-1)
    b = tf.math.l2_normalize(second, axis=-1)
    logits = tf.matmul(a, b, transpose_b=True) / 0.1
    labels = tf.range(tf.shape(logits)[0])
    rows = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(rows)
""",
    "wasserstein": """
def wasserstein_loss(y_true, y_pred):
    return K.mean(y_true * y_pred)
""",
    "generator": """
def generator_loss(fake_output):
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    return entropy(tf.ones_like(fake_output), fake_output)
""",
    "ssim": """
def ssim_loss(y_true, y_pred):
    return 1.0 - tf.reduce_mean(tf.image.ssim(y_true, y_pred, max_val=1.0, filter_size=3))
""",
    "hand_written_ssim": """
def structural_loss(y_true, y_pred):
    m, n = K.mean(y_true, axis=-1), K.mean(y_pred, axis=-1)
    v, w = K.var(y_true, axis=-1), K.var(y_pred, axis=-1)
    both = K.mean(y_true * y_pred, axis=-1) - m * n
    top = (2.0 * m * n + 0.01) * (2.0 * both + 0.03)
    return 1.0 - K.mean(top / ((m**2 + n**2 + 0.01) * (v + w + 0.03)))
""",
    "giou": """
def giou_loss(boxes, predicted_boxes):
    low = tf.maximum(boxes[..., :2], predicted_boxes[..., :2])
    high = tf.minimum(boxes[..., 2:], predicted_boxes[..., 2:])
    size = tf.maximum(high - low, 0.0)
    overlap = size[..., 0] * size[..., 1]
    one = tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    two = tf.maximum(predicted_boxes[..., 2:] - predicted_boxes[..., :2], 0.0)
    union = one[..., 0] * one[..., 1] + two[..., 0] * two[..., 1] - overlap
    hull = tf.maximum(boxes[..., 2:], predicted_boxes[..., 2:])
    hull = hull - tf.minimum(boxes[..., :2], predicted_boxes[..., :2])
    area = tf.maximum(hull[..., 0] * hull[..., 1], 1e-6)
    return 1.0 - overlap / tf.maximum(union, 1e-6) + (area - union) / area
""",
    "gaussian_nll": """
def gaussian_loss(y_true, y_pred):
    mean, log_var = tf.split(y_pred, 2, axis=-1)
    log_var = tf.clip_by_value(log_var, -10.0, 10.0)
    return tf.reduce_mean(0.5 * (tf.exp(-log_var) * tf.square(y_true - mean) + log_var))
""",
    "masked_mse": """
def masked_loss(y_true, y_pred):
    mask = tf.cast(tf.not_equal(y_true, 0.0), tf.float32)
    error = tf.square(y_true - y_pred) * mask
    return tf.reduce_sum(error) / tf.maximum(tf.reduce_sum(mask), 1.0)
""",
    "angular": """
def angle_loss(y_true, y_pred):
    return tf.reduce_mean(1.0 - tf.cos(y_true - y_pred))
""",
    "total_variation": """
def smooth_image_loss(y_true, y_pred):
    down = tf.abs(y_pred[:, 1:, :, :] - y_pred[:, :-1, :, :])
    right = tf.abs(y_pred[:, :, 1:, :] - y_pred[:, :, :-1, :])
    error = tf.reduce_mean(tf.abs(y_true - y_pred))
    return error + 1e-3 * (tf.reduce_mean(down) + tf.reduce_mean(right))
""",
    "scale_invariant_depth": """
def depth_loss(y_true, y_pred):
    d = y_pred - y_true
    return tf.reduce_mean(tf.square(d)) - 0.5 * tf.square(tf.reduce_mean(d))
""",
    "entropy_regularised": """
def confident_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-7, 1.0)
    entropy = -tf.reduce_sum(p * tf.math.log(p), axis=-1)
    return -tf.reduce_sum(y_true * tf.math.log(p), axis=-1) - 0.1 * entropy
""",
    "mmd": """
def mmd_loss(y_true, y_pred):
    def kernel(a, b):
        gap = tf.reduce_sum(tf.square(a[:, None, :] - b[None, :, :]), axis=-1)
        return tf.reduce_mean(tf.exp(-0.5 * gap))

    return kernel(y_true, y_true) + kernel(y_pred, y_pred) - 2.0 * kernel(y_true, y_pred)
""",
    "pairwise_ranking": """
def ranking_loss(y_true, y_pred):
    order = y_true[:, None] - y_true[None, :]
    margin = y_pred[:, None] - y_pred[None, :]
    wanted = tf.cast(order > 0.0, tf.float32)
    return tf.reduce_sum(wanted * tf.nn.softplus(-margin)) / (tf.reduce_sum(wanted) + 1.0)
""",
}

# Name of the loss, and a complete program that defines it.
GALLERY: Final = {name: f"{_HEADER}{text}" for name, text in _LOSSES.items()}
