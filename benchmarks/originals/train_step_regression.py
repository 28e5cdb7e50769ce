# probe: step step(x=real[16,4], y=real[16,1])
import tensorflow as tf

w = tf.Variable(tf.random.stateless_normal([4, 1], seed=[3, 4]))


def step(x, y):
    with tf.GradientTape() as tape:
        y_pred = tf.matmul(x, w)
        error = tf.abs(y_pred - y)
        loss = tf.reduce_mean(tf.sqrt(tf.square(error) + 1e-6))
        loss += 1e-4 * tf.reduce_sum(tf.square(w))
    grads = tape.gradient(loss, [w])
    return loss, grads
