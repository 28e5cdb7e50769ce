# probe: loss cauchy(t=real, *p=real)
import tensorflow as tf

cauchy = lambda t, p: tf.reduce_mean(tf.math.log1p(tf.square(t - p)))
model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
model.compile(optimizer="adam", loss=cauchy)
