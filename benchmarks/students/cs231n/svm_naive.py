import numpy as np


def svm_loss_naive(W, X, y, reg):
    dW = np.zeros(W.shape)
    num_train = X.shape[0]
    num_classes = W.shape[1]
    loss = 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        correct = scores[y[i]]
        for j in range(num_classes):
            if j == y[i]:
                continue
            margin = scores[j] - correct + 1
            if margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    loss = loss / num_train + reg * np.sum(W * W)
    dW = dW / num_train
    dW += 2 * reg * W
    return loss, dW


USE = {
    "inputs": "W=(D=3,C=5) X=const(N=4,D) y=ids(N)<C",
    "forward": "out, grad = svm_loss_naive(W, X, y, 0.1)",
    "backward": "dW = grad",
}
