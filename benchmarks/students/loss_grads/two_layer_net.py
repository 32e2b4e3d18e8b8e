import numpy as np


def two_layer_net(params, X, y, reg=0.0):
    W1, b1, W2, b2 = params["W1"], params["b1"], params["W2"], params["b2"]
    N = X.shape[0]
    z1 = X.dot(W1) + b1
    h1 = np.maximum(0, z1)
    scores = h1.dot(W2) + b2

    exp_scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = exp_scores / exp_scores.sum(axis=1, keepdims=True)
    data_loss = -np.log(probs[range(N), y]).sum() / N
    reg_loss = reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
    loss = data_loss + reg_loss

    grads = {}
    dscores = probs.copy()
    dscores[range(N), y] -= 1
    dscores /= N
    grads["W2"] = h1.T.dot(dscores) + 2 * reg * W2
    grads["b2"] = dscores.sum(axis=0)
    dh1 = dscores.dot(W2.T)
    dh1[z1 <= 0] = 0
    grads["W1"] = X.T.dot(dh1) + 2 * reg * W1
    grads["b1"] = dh1.sum(axis=0)
    return loss, grads


USE = {
    "inputs": "W1=(D=4,H=6) b1=(H) W2=(H,C=3) b2=(C) X=const(N=5,D) y=ids(N)<C",
    "forward": "params = {'W1': W1, 'b1': b1, 'W2': W2, 'b2': b2}\n"
               "out, grads = two_layer_net(params, X, y, reg=0.05)",
    "backward": "dW1, db1, dW2, db2 = grads['W1'], grads['b1'], grads['W2'], grads['b2']",
}
