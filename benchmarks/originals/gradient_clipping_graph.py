# probe: graph loss(x=real[16,4], labels=binary[16,1])
import tensorflow.compat.v1 as tf

x = tf.placeholder(tf.float32, [None, 4], name="x")
labels = tf.placeholder(tf.float32, [None, 1], name="labels")
w = tf.get_variable("w", [4, 1])
b = tf.get_variable("b", [1], initializer=tf.zeros_initializer())
logits = tf.matmul(x, w) + b
entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
loss = tf.reduce_mean(entropy) + 1e-3 * tf.nn.l2_loss(w)
optimizer = tf.train.GradientDescentOptimizer(0.1)
pairs = optimizer.compute_gradients(loss)
train = optimizer.apply_gradients([(tf.clip_by_norm(g, 1.0), v) for g, v in pairs])
