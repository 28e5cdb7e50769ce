# probe: loss student_loss(y_true=real[16,1], *y_pred=real[16,1])
import tensorflow as tf


class Student(tf.keras.losses.Loss):
    def __init__(self, freedom=3.0, name="student"):
        super().__init__(name=name)
        self.freedom = freedom

    def call(self, y_true, y_pred):
        return student_loss(y_true, y_pred, self.freedom)


def student_loss(y_true, y_pred, freedom=3.0):
    error = tf.square(y_true - y_pred)
    return tf.reduce_mean(0.5 * (freedom + 1.0) * tf.math.log1p(error / freedom))
