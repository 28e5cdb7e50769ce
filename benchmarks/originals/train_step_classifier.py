# probe: step step(x=real[16,4], y=onehot)
import tensorflow as tf

w = tf.Variable(tf.random.stateless_normal([4, 3], seed=[1, 2]))
b = tf.Variable(tf.zeros([3]))


def step(x, y):
    with tf.GradientTape() as tape:
        logits = tf.matmul(x, w) + b
        log_p = logits - tf.reduce_logsumexp(logits, axis=-1, keepdims=True)
        loss = -tf.reduce_mean(tf.reduce_sum(y * log_p, axis=-1))
    grads = tape.gradient(loss, [w, b])
    w.assign_sub(0.1 * grads[0])
    b.assign_sub(0.1 * grads[1])
    return loss, grads
