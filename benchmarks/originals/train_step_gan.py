# probe: step step(real=real[16,3], fake=real[16,3])
import tensorflow as tf

w = tf.Variable(tf.random.stateless_normal([3, 1], seed=[5, 6]))


def score(images):
    return tf.matmul(images, w)


def step(real, fake):
    with tf.GradientTape() as tape:
        logits = score(real)
        up = tf.reduce_mean(tf.nn.softplus(-logits))
        down = tf.reduce_mean(tf.nn.softplus(score(fake)))
        loss = up + down
    grads = tape.gradient(loss, [w])
    return loss, grads
