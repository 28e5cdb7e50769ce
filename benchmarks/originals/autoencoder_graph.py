# probe: graph loss(x=unit[16,4])
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
w = tf.Variable(tf.random_normal([4, 2], stddev=0.3))
v = tf.Variable(tf.random_normal([2, 4], stddev=0.3))
code = tf.nn.sigmoid(tf.matmul(x, w))
decoded = tf.nn.sigmoid(tf.matmul(code, v))
usage = tf.clip_by_value(tf.reduce_mean(code, axis=0), 1e-5, 1.0 - 1e-5)
sparsity = 0.05 * tf.log(0.05 / usage) + 0.95 * tf.log(0.95 / (1.0 - usage))
loss = tf.reduce_mean(tf.square(x - decoded)) + 0.01 * tf.reduce_sum(sparsity)
train = tf.train.AdamOptimizer(0.01).minimize(loss)
