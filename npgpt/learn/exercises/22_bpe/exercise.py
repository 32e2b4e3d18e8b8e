"""Byte-pair encoding: train ten merges, encode with them

difficulty: 3/5   importance: 3/5   about 30 minutes (estimated)

STORY

GPT-2 reads tokens, and a token is a piece of text: "the", " cat", "ing".
Which pieces there are is learnt from a text, by counting. Begin with single
bytes. Find the pair of neighbours that occurs most often, and make one token
of it everywhere. Count again, merge again. Each merge adds a token to the
vocabulary; GPT-2's has 256 bytes and 50,000 merges.

Training gives a list of merges in the order in which they were found. That
order is the tokenizer. A merge's place in the list is its rank, and encoding
repeats history: of all pairs that stand in the text now, the one of lowest
rank is merged first, since it was found first. Merging from left to right, or
taking the longest token that fits, often gives other tokens; a model that was
trained with one and is used with the other reads a text that it has never
learnt to read.

In detail, so that there is one right answer:

- Text is bytes, not characters: "é" is two bytes, and a merge may split or
  join them. (Iterating over bytes gives integers. `text[i:i + 1]` is a byte
  string of length one.)
- A pair is counted at each place where it begins: "aaa" holds the pair (a, a)
  twice.
- Of pairs that occur equally often, the one that occurs first in the text is
  merged.
- A merge replaces from left to right, without overlap: "aaa" becomes "aa",
  "a".
- Training stops early when a single token is left, and goes on even where a
  pair occurs once.

There is no gradient here, and no array: lists, tuples and a dict will do.

SHAPES

    text     bytes, such as b"low lower lowest"
    merges   a list of pairs (left, right) of byte strings, as found
    tokens   a list of byte strings; joined, they are the text
"""

from npgpt.learn import NotBegun


def merged(tokens, pair):
    """The tokens with `pair` joined wherever it stands, from the left."""
    # one merge
    # ---- your code: begins here ----
    out, i = [], 0
    while i < len(tokens):
        if tuple(tokens[i:i + 2]) == pair:
            out.append(tokens[i] + tokens[i + 1])
            i += 2
        else:
            out.append(tokens[i])
            i += 1
    return out
    # ---- your code: ends here ----


def train(text, count):
    """The first `count` merges of a text, as a list of pairs (left, right)."""
    # the training of merges
    # ---- your code: begins here ----
    tokens = [text[i:i + 1] for i in range(len(text))]
    merges = []
    while len(merges) < count and len(tokens) > 1:
        counts = {}
        for pair in zip(tokens, tokens[1:]):
            counts[pair] = counts.get(pair, 0) + 1
        best = max(counts, key=counts.get)
        merges.append(best)
        tokens = merged(tokens, best)
    return merges
    # ---- your code: ends here ----


def encode(text, merges):
    """The tokens of a text, by these merges."""
    # encoding
    # ---- your code: begins here ----
    rank = {pair: n for n, pair in enumerate(merges)}
    tokens = [text[i:i + 1] for i in range(len(text))]
    while True:
        known = [pair for pair in zip(tokens, tokens[1:]) if pair in rank]
        if not known:
            return tokens
        tokens = merged(tokens, min(known, key=rank.get))
    # ---- your code: ends here ----


if __name__ == "__main__":
    text = (b"low low lower lowest slow slower slowest "
            b"new newer newest wide wider widest")
    merges = train(text, 10)
    for n, (left, right) in enumerate(merges):
        print(f"{n:3}  {left!r:8} + {right!r:8} -> {left + right!r}")
    tokens = encode(text, merges)
    print(f"\n{len(text)} bytes became {len(tokens)} tokens:")
    for i in range(0, len(tokens), 20):
        print("  " + "|".join(token.decode() for token in tokens[i:i + 20]))
    print("a word it has not seen:", encode(b"slowness", merges))
    print("two bytes of one letter:", encode("é".encode(), merges))
