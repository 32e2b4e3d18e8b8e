import numpy as np


def distillation_loss(student, teacher, T=2.0):
    """KL(teacher || student) at temperature T, mean over the batch, times T squared."""
    def soft(z):
        e = np.exp((z - z.max(1, keepdims=True)) / T)
        return e / e.sum(1, keepdims=True)

    p, q = soft(teacher), soft(student)
    n = student.shape[0]
    loss = T ** 2 * np.sum(p * (np.log(p) - np.log(q))) / n
    dstudent = T * (q - p) / n
    return loss, dstudent


USE = {
    "inputs": "student=(N=4,C=5) teacher=const(N,C)",
    "forward": "out, grad = distillation_loss(student, teacher)",
    "backward": "dstudent = grad",
}
