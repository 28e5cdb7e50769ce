# probe: graph loss(x=real[16,4], target=real[16,1])
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
target = tf.placeholder(tf.float32, [None, 1])
w = tf.Variable(tf.random_normal([4, 1], stddev=0.1))
b = tf.Variable(tf.zeros([1]))
prediction = tf.matmul(x, w) + b
error = tf.reduce_mean(tf.square(prediction - target))
size = tf.sqrt(tf.reduce_sum(tf.square(w)) + 1e-10)
loss = error + 0.01 * size
step = tf.train.GradientDescentOptimizer(0.01).minimize(loss)
