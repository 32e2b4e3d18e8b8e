"""A difference quotient

difficulty: 1/5   importance: 5/5   about 15 minutes (estimated)

STORY

Training rests on one question: if this number moves a little, how does the
loss move? The answer is a derivative, and a derivative can be measured: move
the number, look at the loss, divide.

Moving to one side only is the first idea,

    (f(x + h) - f(x)) / h

and it is a poor one. Taylor's series says why:

    f(x + h) = f(x) + h f'(x) + h^2/2 f''(x) + h^3/6 f'''(x) + ...
    f(x - h) = f(x) - h f'(x) + h^2/2 f''(x) - h^3/6 f'''(x) + ...

From one side, the error is about h/2 f''(x). Subtract the two lines and f''
cancels: the error shrinks like h^2. That is the centred quotient, and it is
what you write here.

A smaller h is not always better. For a very small one f(x + h) and f(x - h)
agree in nearly all of their sixteen digits, and the difference is made of
what is left. Run this file when you are done: it prints the error for one h
after the other.

With an array there is one derivative for each element: move that element
alone, leave all the others where they are, and put it back before you go on.

This is the judge of the whole course: every gradient that you derive by hand
will be compared with such differences. It is no way to train, though: it
costs two calls of f for each number, and GPT-2 has more than a hundred
million of them. Hence the exercises that follow.

MATHEMATICS

    dx[i] = (f(x with x[i] + h) - f(x with x[i] - h)) / (2 h)

SHAPES

    x       any shape, floats       () and (2, 3) as well as (5,)
    f       takes x, gives one number
    dx      the shape of x

NOTATION, for the whole course: dx means dLoss/dx, the derivative of the loss
for every element of x. It always has exactly the shape of x.
"""

import numpy as np

from npgpt.learn import NotBegun


def numeric_gradient(f, x, h=1e-5):
    """Give dx, the centred difference quotient of f for every element of x."""
    # ---- your code: begins here ----
    dx = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        moved = x.copy()
        moved[index] = x[index] + h
        above = f(moved)
        moved[index] = x[index] - h
        below = f(moved)
        dx[index] = (above - below) / (2 * h)
    return dx
    # ---- your code: ends here ----


if __name__ == "__main__":
    point = np.array([1.0])
    true = np.cos(1.0)
    print("error of the derivative of sin at 1")
    print("    h      one side   yours")
    for power in range(1, 13):
        step = 10.0**-power
        one_sided = (np.sin(1 + step) - np.sin(1)) / step
        yours = numeric_gradient(lambda x: np.sin(x).sum(), point, step)[0]
        errors = abs(one_sided - true), abs(yours - true)
        print(f"1e-{power:02}    {errors[0]:8.1e}   {errors[1]:8.1e}")
