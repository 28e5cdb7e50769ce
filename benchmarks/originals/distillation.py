# probe: loss distillation_loss(teacher=logits, *student=logits)
import tensorflow as tf


def distillation_loss(teacher, student, temperature=3.0):
    soft = tf.nn.softmax(tf.stop_gradient(teacher) / temperature, axis=-1)
    log_p = tf.nn.log_softmax(student / temperature, axis=-1)
    return -tf.reduce_mean(tf.reduce_sum(soft * log_p, axis=-1)) * temperature**2
