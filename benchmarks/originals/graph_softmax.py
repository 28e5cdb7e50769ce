# probe: graph loss(x=real[16,4], labels=onehot)
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
labels = tf.placeholder(tf.float32, [None, 3])
weights = tf.Variable(tf.random_normal([4, 3], stddev=0.1))
bias = tf.Variable(tf.zeros([3]))
scores = tf.matmul(x, weights) + bias
shares = tf.nn.softmax(scores)
loss = -tf.reduce_mean(tf.reduce_sum(labels * tf.log(tf.clip_by_value(shares, 1e-7, 1.0)), 1))
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
