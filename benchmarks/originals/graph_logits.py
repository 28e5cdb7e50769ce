# probe: graph loss(x=real[16,4], labels=onehot)
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4])
labels = tf.placeholder(tf.float32, [None, 3])
hidden = tf.nn.relu(tf.matmul(x, tf.Variable(tf.random_normal([4, 8], stddev=0.5))))
logits = tf.matmul(hidden, tf.Variable(tf.random_normal([8, 3], stddev=0.1)))
entropy = tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits)
loss = tf.reduce_mean(entropy)
train = tf.train.AdamOptimizer(1e-3).minimize(loss)
