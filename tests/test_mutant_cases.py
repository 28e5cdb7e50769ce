"""Correct programs that were suspected, and broken ones that were missed, in the mutation study."""

from __future__ import annotations

import pytest

from actlint.findings import Finding

from .cases import HEADER, Case, check, run

CASES = (
    Case("smoothed_labels_of_a_softmax", HEADER + """\
class Categorical(keras.losses.Loss):
    def __init__(self, smoothing=0.1, classes=3):
        super().__init__()
        self.smoothing = smoothing
        self.classes = classes

    def call(self, y_true, y_pred):
        y_true = y_true * (1.0 - self.smoothing) + self.smoothing / self.classes
        return -K.sum(y_true * K.log(K.clip(y_pred, K.epsilon(), 1.0)), axis=-1)
"""),
    Case("numpy_in_one_of_two_terms", HEADER + """\
def binary_loss(y_true, y_pred):
    y_pred = tf.clip_by_value(y_pred, 1e-7, 1.0 - 1e-7)
    positive = y_true * np.log(y_pred)
    negative = (1.0 - y_true) * tf.math.log(1.0 - y_pred)
    return -tf.reduce_mean(positive + negative)
""", (("ACT204", "np.log(y_pred)"),)),
    Case("numpy_in_a_factor", HEADER + """\
def gelu(x):
    inner = np.sqrt(2.0 / np.pi) * (x + 0.044715 * tf.pow(x, 3))
    return 0.5 * x * (1.0 + np.tanh(inner))


layer = keras.layers.Dense(8, activation=gelu)
""", (("ACT204", "np.tanh(inner)"),)),
    Case("mask_made_by_numpy", HEADER + """\
def clipped_linear(x):
    return x * np.greater(x, 0.0)


layer = keras.layers.Dense(8, activation=clipped_linear)
"""),
    Case("step_at_equal_arguments_only", HEADER + """\
w = tf.Variable(tf.zeros([4, 1]))


def step(x, y):
    with tf.GradientTape() as tape:
        error = tf.sign(tf.matmul(x, w) - y)
        loss = tf.reduce_mean(tf.sqrt(tf.square(error) + 1e-6))
        loss += 1e-4 * tf.reduce_sum(tf.square(w))
    return tape.gradient(loss, [w])
""", (("ACT201", "tf.sign(tf.matmul(x, w) - y)"),)),
    Case("rounded_shares_of_a_softmax", HEADER + """\
def cool_softmax(x, temperature=2.0):
    powers = tf.exp(x / temperature - tf.reduce_max(x / temperature, axis=-1, keepdims=True))
    return 0.1 * x * (powers // tf.reduce_sum(powers, axis=-1, keepdims=True))


layer = keras.layers.Dense(8, activation=cool_softmax)
""", (("ACT201", "powers // tf.reduce_sum(powers, axis=-1, keepdims=True)"),)),
    Case("sign_times_a_continuous_factor", HEADER + """\
def symlog(x):
    return tf.sign(x) * tf.math.log1p(tf.abs(x))


layer = keras.layers.Dense(8, activation=symlog)
"""),
    Case("sign_times_a_root", HEADER + """\
def compress(x):
    return tf.sign(x) * tf.math.pow(tf.abs(x) + 1e-30, 0.3)


first = keras.layers.Dense(8, activation=compress)
"""),
    Case("sign_over_a_variance", HEADER + """\
def gaussian_nll(y_true, y_pred):
    mean, raw = tf.split(y_pred, 2, axis=-1)
    variance = tf.nn.softplus(raw) + 1e-4
    return tf.reduce_mean(tf.math.log(variance) + tf.sign(y_true - mean) / variance)
""", (("ACT201", "tf.sign(y_true - mean)"),)),
    Case("registered_lambda", HEADER + """\
half = keras.saving.register_keras_serializable(package="mine")(lambda x: x + tf.sqrt(x))
layer = keras.layers.Dense(8, activation=half)
""", (("ACT104", "tf.sqrt(x)"),)),
    Case("traced_lambda", HEADER + """\
half = tf.function(jit_compile=True)(lambda x: x + tf.sqrt(x))
layer = keras.layers.Dense(8, activation=half)
""", (("ACT104", "tf.sqrt(x)"),)),
    Case("layer_that_truncates_its_input", HEADER + """\
class Whole(keras.layers.Layer):
    def call(self, inputs):
        return 2.0 * tf.cast(tf.cast(inputs, tf.int32), tf.float32)
""", (("ACT201", "tf.cast(inputs, tf.int32)"),)),
    Case("layer_that_takes_ids", HEADER + """\
class Embed(keras.layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(9, 4), name="table")

    def call(self, inputs):
        return tf.gather(self.table, tf.cast(inputs, tf.int32))
"""),
    Case("probability_in_a_logarithm_of_numpy", HEADER + """\
def poisson_loss(y_true, y_pred):
    return tf.reduce_mean(y_pred - y_true * np.log(y_pred + 1e-7))
""", (("ACT204", "np.log(y_pred + 1e-7)"),)),
    Case("power_of_a_latent_mean", HEADER + """\
def latent_loss(y_true, decoded, mean, log_var):
    log_var = tf.clip_by_value(log_var, -10.0, 10.0)
    kl = -0.5 * tf.reduce_sum(1.0 + log_var - mean**1.5 - tf.exp(log_var), axis=-1)
    return tf.reduce_mean(tf.square(y_true - decoded)) + tf.reduce_mean(kl)
""", (("ACT106", "mean**1.5"),)),
    Case("divergence_of_two_softmaxes", HEADER + """\
def kl_loss(y_true, y_pred):
    target = tf.clip_by_value(y_true, 1e-7, 1.0)
    guess = tf.clip_by_value(y_pred, 1e-7, 1.0)
    return tf.reduce_mean(tf.reduce_sum(target * tf.math.log(target / guess), axis=-1))
"""),
    Case("labels_of_an_entropy_of_logits_are_shares", HEADER + """\
def total_loss(y_true, y_pred):
    entropy = tf.keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=True)
    shares = tf.nn.softmax(y_pred, axis=-1)
    return tf.reduce_mean(entropy) + 0.1 * tf.reduce_mean(tf.square(y_true - shares))
"""),
    Case("similarity_of_images", HEADER + """\
def similarity_loss(y_true, y_pred):
    c1, c2, axes = 0.01**2, 0.03**2, [1, 2, 3]
    m1 = tf.reduce_mean(y_true, axis=axes, keepdims=True)
    m2 = tf.reduce_mean(y_pred, axis=axes, keepdims=True)
    v1 = tf.reduce_mean(tf.square(y_true - m1), axis=axes, keepdims=True)
    v2 = tf.reduce_mean(tf.square(y_pred - m2), axis=axes, keepdims=True)
    cross = tf.reduce_mean((y_true - m1) * (y_pred - m2), axis=axes, keepdims=True)
    top = (2.0 * m1 * m2 + c1) * (2.0 * cross + c2)
    bottom = (tf.square(m1) + tf.square(m2) + c1) * (v1 + v2 + c2)
    return tf.reduce_mean(1.0 - top / bottom)
"""),
    Case("straight_through_with_a_minus_sign", HEADER + """\
class Binary(keras.layers.Layer):
    def call(self, inputs):
        hard = tf.where(inputs >= 0.0, 1.0, -1.0)
        return tf.stop_gradient(inputs) + (hard - inputs)
""", (("ACT208", "tf.stop_gradient(inputs) + (hard - inputs)"),)),
    Case("straight_through_of_a_falling_step", HEADER + """\
class Negative(keras.layers.Layer):
    def call(self, inputs):
        hard = tf.cast(inputs < 0.0, tf.float32)
        return tf.stop_gradient(hard + inputs) - inputs
"""),
    Case("straight_through_without_stop_gradient", HEADER + """\
class Binary(keras.layers.Layer):
    def call(self, inputs):
        hard = tf.where(inputs >= 0.0, 1.0, -1.0)
        return inputs + (hard - inputs)
""", (("ACT208", "inputs + (hard - inputs)"),)),
    Case("straight_through_to_a_grid", HEADER + """\
def quantise(x):
    squashed = keras.ops.tanh(x)
    return squashed + keras.ops.stop_gradient(keras.ops.round(squashed * 8.0) / 8.0)


layer = keras.layers.Dense(8, activation=quantise)
""", (("ACT208", "squashed + keras.ops.stop_gradient(keras.ops.round(squashed * 8.0) / 8.0)"),)),
    Case("straight_through_with_a_doubled_gradient", HEADER + """\
def quantise(x):
    squashed = keras.ops.tanh(x)
    steps = keras.ops.round(squashed * 8.0) / 8.0
    return 2.0 * squashed + keras.ops.stop_gradient(steps - 2.0 * squashed)


layer = keras.layers.Dense(8, activation=quantise)
""", (("ACT208", "2.0 * squashed + keras.ops.stop_gradient(steps - 2.0 * squashed)"),)),
    Case("signed_error_beside_differences_of_neighbours", HEADER + """\
def smooth_image_loss(y_true, y_pred):
    down = y_pred[:, 1:, :, :] - y_pred[:, :-1, :, :]
    right = y_pred[:, :, 1:, :] - y_pred[:, :, :-1, :]
    variation = tf.reduce_mean(tf.abs(down)) + tf.reduce_mean(tf.abs(right))
    return tf.reduce_mean(y_true - y_pred) + 0.1 * variation
""", (("ACT501", "tf.reduce_mean(y_true - y_pred) + 0.1 * variation"),)),
    Case("error_beside_differences_of_neighbours", HEADER + """\
def smooth_image_loss(y_true, y_pred):
    down = y_pred[:, 1:, :, :] - y_pred[:, :-1, :, :]
    right = y_pred[:, :, 1:, :] - y_pred[:, :, :-1, :]
    variation = tf.reduce_mean(tf.abs(down)) + tf.reduce_mean(tf.abs(right))
    return tf.reduce_mean(tf.abs(y_true - y_pred)) + 0.1 * variation
"""),
    Case("constant_in_the_place_of_the_prediction", HEADER + """\
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)


def discriminator_loss(real_logits, fake_logits):
    real = cross_entropy(real_logits, tf.ones_like(real_logits))
    fake = cross_entropy(tf.zeros_like(fake_logits), fake_logits)
    return real + fake
""", (("ACT510", "cross_entropy(real_logits, tf.ones_like(real_logits))"),)),
    Case("placeholder_of_a_column_against_a_squeezed_product", """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
target = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.random_normal([4, 1], stddev=0.1))
prediction = tf.squeeze(tf.matmul(x, w), axis=-1)
loss = tf.reduce_mean(tf.square(prediction - target))
step = tf.train.GradientDescentOptimizer(0.01).minimize(loss)
""", (("ACT513", "prediction - target"),)),
    Case("placeholder_of_a_column_against_a_column", """\
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
target = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.random_normal([4, 1], stddev=0.1))
prediction = tf.reshape(tf.matmul(x, w), [-1, 1])
loss = tf.reduce_mean(tf.square(prediction - target))
step = tf.train.GradientDescentOptimizer(0.01).minimize(loss)
"""),
    Case("cold_softmax_by_hand", HEADER + """\
def cool_softmax(x, temperature=1e-4):
    scaled = x / temperature
    powers = tf.exp(scaled - tf.reduce_max(scaled, axis=-1, keepdims=True))
    return powers / tf.reduce_sum(powers, axis=-1, keepdims=True)


layer = keras.layers.Dense(8, activation=cool_softmax)
""", (("ACT309", "powers / tf.reduce_sum(powers, axis=-1, keepdims=True)"),)),
    Case("softmax_by_hand", HEADER + """\
def cool_softmax(x, temperature=2.0):
    scaled = x / temperature
    powers = tf.exp(scaled - tf.reduce_max(scaled, axis=-1, keepdims=True))
    return powers / tf.reduce_sum(powers, axis=-1, keepdims=True)


layer = keras.layers.Dense(8, activation=cool_softmax)
"""),
    Case("labels_of_weights_of_an_entropy_are_shares", HEADER + """\
def weighted_loss(y_true, logits):
    p = tf.sigmoid(logits)
    weight = tf.stop_gradient(tf.square(y_true - p))
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=y_true, logits=logits)
    return tf.reduce_mean(weight * entropy)
"""),
    Case("numpy_in_a_layer", HEADER + """\
class Swish(keras.layers.Layer):
    def call(self, inputs):
        return tf.nn.relu(inputs) / (1.0 + np.exp(-inputs))
""", (("ACT204", "np.exp(-inputs)"),)),
    Case("index_by_numpy_in_a_layer", HEADER + """\
class Peak(keras.layers.Layer):
    def call(self, inputs):
        return inputs * tf.one_hot(np.argmax(inputs, -1), 4)
"""),
    Case("categorical_hinge_turned_round", HEADER + """\
def margin_loss(y_true, y_pred):
    right = tf.reduce_sum(y_true * y_pred, axis=-1)
    wrong = tf.reduce_max((1.0 - y_true) * y_pred, axis=-1)
    return tf.reduce_mean(tf.minimum(wrong - right + 1.0, 0.0))
""", (("ACT502", "tf.minimum(wrong - right + 1.0, 0.0)"),)),
    Case("triplets_of_directions", HEADER + """\
def triplet_loss(anchor, positive, negative, margin=0.2):
    a, p, n = (tf.math.l2_normalize(each, axis=-1) for each in (anchor, positive, negative))
    near = tf.reduce_sum(a * p, axis=-1)
    far = tf.reduce_sum(a * n, axis=-1)
    return tf.reduce_mean(tf.maximum(far - near + margin, 0.0))
"""),
    Case("reward_up_to_a_limit", HEADER + """\
def bounded_loss(y_true, y_pred):
    agreement = tf.reduce_sum(y_true * tf.tanh(y_pred), axis=-1)
    return -tf.reduce_mean(tf.minimum(agreement, 1.0))
"""),
    Case("sum_of_angles_beside_a_mean", HEADER + """\
def angle_and_size_loss(y_true, y_pred):
    sizes = tf.square(tf.norm(y_true + 1e-3, axis=-1) - tf.norm(y_pred + 1e-3, axis=-1))
    errors = tf.square(y_true - y_pred)
    return tf.reduce_mean(errors) + 0.5 * tf.reduce_sum(sizes)
""", (("ACT504", "tf.reduce_sum(sizes)"),)),
    Case("penalty_of_weights_beside_a_mean", HEADER + """\
w = tf.Variable(tf.random.normal([4, 1]))


def step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - y)) + 1e-4 * tf.reduce_sum(tf.square(w))
    return tape.gradient(loss, [w])
"""),
    Case("sum_alone_of_an_own_loop", HEADER + """\
def likelihood_loss(y_true, y_pred):
    p = tf.clip_by_value(y_pred, 1e-6, 1.0)
    return -tf.reduce_sum(y_true * tf.math.log(p))
"""),
    Case("lambda_layer_with_a_jump", HEADER + """\
def unit(x):
    return tf.where(x > 1.0, tf.ones_like(x) + 0.1 * x, 0.5 * x)


layer = keras.layers.Lambda(unit)
""", (("ACT402", "tf.where(x > 1.0, tf.ones_like(x) + 0.1 * x, 0.5 * x)"),)),
    Case("lambda_layers_that_fold", HEADER + """\
size = keras.layers.Lambda(lambda x: tf.abs(x))
wave = keras.layers.Lambda(lambda x: tf.sin(x) + tf.square(x))
"""),
    Case("cold_cosines", HEADER + """\
TEMPERATURE = 1e-4


def pair_loss(first, second):
    first = tf.math.l2_normalize(first, axis=-1)
    second = tf.math.l2_normalize(second, axis=-1)
    scores = tf.matmul(first, second, transpose_b=True) / TEMPERATURE
    labels = tf.eye(tf.shape(scores)[0])
    return tf.reduce_mean(
        tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=scores)
    )
""", (("ACT309", "tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=scores)"),)),
    Case("masked_cosines_at_a_usual_temperature", HEADER + """\
def pair_loss(views, temperature=0.07):
    views = tf.math.l2_normalize(views, axis=-1)
    scores = tf.matmul(views, views, transpose_b=True) / temperature
    scores -= 1e9 * tf.eye(tf.shape(scores)[0])
    partner = tf.roll(tf.range(tf.shape(scores)[0]), 1, axis=0)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=partner, logits=scores)
    )
"""),
    Case("layer_without_samples", HEADER + """\
class Pooled(keras.layers.Layer):
    def call(self, inputs):
        return tf.nn.tanh(tf.reduce_max(inputs, axis=0))
""", (("ACT503", "tf.reduce_max(inputs, axis=0)"),)),
    Case("layer_that_tells_the_spread_of_the_batch", HEADER + """\
class Spread(keras.layers.Layer):
    def call(self, inputs):
        centred = inputs - tf.reduce_mean(inputs, axis=0)
        spread = tf.sqrt(tf.reduce_mean(tf.square(centred), axis=0) + 1e-6)
        return tf.concat([inputs, tf.ones_like(inputs) * spread], axis=-1)
"""),
    Case("layer_that_averages_a_list", HEADER + """\
class Scales(keras.layers.Layer):
    def call(self, inputs):
        found = [tf.tanh(scale * inputs) for scale in (0.5, 1.0, 2.0)]
        return tf.reduce_mean(found, axis=0)
"""),
    Case("signed_error_of_shares", HEADER + """\
def total_loss(y_true, y_pred):
    entropy = keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=True)
    shares = tf.nn.softmax(y_pred, axis=-1)
    return tf.reduce_mean(entropy) + 0.1 * tf.reduce_mean((y_true - shares) * [1.0, 2.0, 3.0, 4.0])
""", (("ACT501", "y_true - shares"),)),
    Case("divergence_of_gaussians", HEADER + """\
def kl_loss(y_true, y_pred):
    m1, s1 = tf.split(y_true, 2, axis=-1)
    m2, s2 = tf.split(y_pred, 2, axis=-1)
    s1 = tf.clip_by_value(s1, -5.0, 5.0)
    s2 = tf.clip_by_value(s2, -5.0, 5.0)
    ratio = (tf.exp(2.0 * s1) + tf.square(m1 - m2)) / (2.0 * tf.exp(2.0 * s2))
    return tf.reduce_mean(s2 - s1 + ratio - 0.5)
"""),
    Case("sign_that_seldom_switches", HEADER + """\
def kl_loss(y_true, y_pred):
    m1, s1 = tf.split(y_true, 2, axis=-1)
    m2, s2 = tf.split(y_pred, 2, axis=-1)
    s1 = tf.clip_by_value(s1, -5.0, 5.0)
    s2 = tf.clip_by_value(s2, -5.0, 5.0)
    ratio = (tf.exp(2.0 * s1) + tf.sign(m1 - m2)) / (2.0 * tf.exp(2.0 * s2))
    return tf.reduce_mean(s2 - s1 + ratio - 0.5)
""", (("ACT201", "tf.sign(m1 - m2)"),)),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings() -> dict[str, list[Finding]]:
    return run(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, findings: dict[str, list[Finding]]) -> None:
    if case.known_miss:
        pytest.xfail(case.known_miss)
    check(case, findings[case.path])
