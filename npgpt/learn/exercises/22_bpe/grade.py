"""How BPE is graded: texts made so that each known mistake gives other tokens."""

from dataclasses import replace

from npgpt.doctor import Program
from npgpt.doctor.values import text as bpe
from npgpt.doctor.values.catalogue import PROGRAMS

ENCODE, TRAIN = PROGRAMS["bpe_encode"], PROGRAMS["bpe_train"]
# a text to train on and one to encode: between any two ways to go wrong, one of them decides
PAIRS_OF_TEXTS = [
    ("bbccaaccaacbacabbbaacccb", "cabcaaabcabb"), ("bacabcbbbaaccacbcacccaba", "aabacabbabcc"),
    ("aéaaéébabaébbbaabaééabab", "aaaaéaéabéaa"), ("aaaéaaaéaabaabaébaéabbaa", "éaaéaaébbéaé"),
    ("aababaébbaaébaabééaébééa", "aéébéaéaaaab"), ("éébaabéaaaaaaaéabéaééaaa", "aaaabbéaabbé")]


def right_merged(tokens, pair):
    """`pair` joined wherever it stands, from the left."""
    out, n = [], 0
    while n < len(tokens):
        hit = tuple(tokens[n:n + 2]) == pair
        out.append(tokens[n] + tokens[n + 1] if hit else tokens[n])
        n += 2 if hit else 1
    return out


def _first_only(tokens, pair):
    for n in range(len(tokens) - 1):
        if (tokens[n], tokens[n + 1]) == pair:
            return [*tokens[:n], tokens[n] + tokens[n + 1], *tokens[n + 2:]]
    return [*tokens]


def _from_the_right(tokens, pair):
    back = right_merged([t[::-1] for t in tokens[::-1]], (pair[1][::-1], pair[0][::-1]))
    return [t[::-1] for t in back[::-1]]


def _by_text(tokens, pair):
    """What replacing in the joined text would find: the pair's bytes, wherever they stand."""
    whole, out = pair[0] + pair[1], []
    n = 0
    while n < len(tokens):
        taken = b""
        k = n
        while k < len(tokens) and len(taken) < len(whole):
            taken += tokens[k]
            k += 1
        if taken == whole:
            out.append(taken)
            n = k
        else:
            out.append(tokens[n])
            n += 1
    return out


def _by_joined(tokens, pair):
    """Two tokens that together make the pair's bytes, however they are cut."""
    out, n = [], 0
    while n < len(tokens):
        hit = n + 1 < len(tokens) and tokens[n] + tokens[n + 1] == pair[0] + pair[1]
        out.append(tokens[n] + tokens[n + 1] if hit else tokens[n])
        n += 2 if hit else 1
    return out


def _kept_too(tokens, pair):
    """The joined pair is added, and its right part stays."""
    out, n = [], 0
    while n < len(tokens):
        hit = tuple(tokens[n:n + 2]) == pair
        out.append(tokens[n] + tokens[n + 1] if hit else tokens[n])
        n += 1
    return out


def _rest_lost(tokens, pair):
    """The last token is lost unless it was joined."""
    out, n = [], 0
    while n < len(tokens) - 1:
        hit = tuple(tokens[n:n + 2]) == pair
        out.append(tokens[n] + tokens[n + 1] if hit else tokens[n])
        n += 2 if hit else 1
    return out


def _draw_merged(rng, given, n):
    tokens = [b"a", b"a", b"a", b"b", b"a", b"aa", b"b", b"a", b"ab", b"a", b"b", b"c"]
    pair = [(b"a", b"a"), (b"a", b"b"), (b"a", b"ab"), (b"aa", b"b"), (b"b", b"c"), (b"a", b"c")][n]
    return (tokens + [b"a"] * (n % 2), pair), {}


MERGED = Program("merged", right_merged, [
    ("first-place-only", _first_only, "only the first place of the pair is merged: replace all of "
     "them"),
    ("merged-right-to-left", _from_the_right, "the pair is replaced from the right: in aaa the "
     "left two come first"),
    ("joined-part-kept", _kept_too, "after a pair was joined its right part comes once more: go on "
     "behind it"),
    ("last-token-lost", _rest_lost, "the last token is lost where it was not joined"),
    *(("merged-by-text", f, "it joins any tokens whose bytes make the pair's bytes: aa and b are "
       "not the pair (a, ab), though both make aab") for f in (_by_joined, _by_text)),
], draw=_draw_merged)


def _ints(text, merges):
    return list(text)


def _draw_encode(rng, given, n):
    """A table as training makes it, each token in one way only, and a text.

    With such a table it is right as well to apply each merge once, in the order of the table.
    """
    learnt, text = PAIRS_OF_TEXTS[n % len(PAIRS_OF_TEXTS)]
    merges = {left + right: (left, right)
              for left, right in bpe.bpe_train(learnt.encode(), 8)[::-1]}
    return (text.encode(), [*merges.values()][::-1]), {}


def _each_time(choose):
    """Encoding that takes another pair than the one of the lowest rank."""
    def encode(text, merges):
        rank = {pair: n for n, pair in enumerate(merges)}
        tokens = [bytes([b]) for b in text]
        while pairs := [pair for pair in zip(tokens, tokens[1:]) if pair in rank]:
            tokens = right_merged(tokens, choose(pairs, rank))
        return tokens

    return encode


def _in_the_text(text, merges):
    """The bytes of each merge marked in the text by replace."""
    for left, right in merges:
        text = text.replace(left + right, b"|" + left + right + b"|")
    return [token for token in text.split(b"|") if token]


def _whole(text, merges):
    """A text that was never cut into bytes."""
    return text.split()


def _run_encode(function, inputs, settings):
    """The tokens as one value, so that all of them are shown where one is wrong."""
    text, merges = inputs
    out = function(text, [*merges], **settings)
    return [tuple(out)] if isinstance(out, (tuple, list)) else out


def _run_train(function, inputs, settings):
    """The merges, one under the other; a dict of them by rank is as good."""
    out = function(*inputs, **settings)
    return [*out] if isinstance(out, (tuple, list, dict)) else out


def _train_ints(text, count):
    """Pairs of integers."""
    return [tuple(part[0] for part in pair) for pair in bpe.bpe_train(text, 1)]


def _cut_at_spaces(text, count):
    """Words apart: no pair reaches over a space."""
    words = [[bytes([b]) for b in word] for word in text.split(b" ")]
    merges = []
    while len(merges) < count:
        counts = {}
        for word in words:
            for pair in zip(word, word[1:]):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = max(counts, key=counts.get)
        merges.append(best)
        words = [right_merged(word, best) for word in words]
    return merges


def _stops_at_one(text, count):
    """Training that stops where no pair occurs twice."""
    tokens, merges = [bytes([b]) for b in text], []
    while len(merges) < count and len(tokens) > 1:
        counts = {}
        for pair in zip(tokens, tokens[1:]):
            counts[pair] = counts.get(pair, 0) + 1
        best = max(counts, key=counts.get)
        if counts[best] < 2:
            break
        merges.append(best)
        tokens = right_merged(tokens, best)
    return merges


def _joined(text, count):
    return [left + right for left, right in bpe.bpe_train(text, count)]


def _one_too_few(text, count):
    return bpe.bpe_train(text, count - 1)


def _one_too_many(text, count):
    return bpe.bpe_train(text, count + 1)


_INTS = ("the tokens are integers: iterating over bytes gives integers, text[i:i + 1] is a byte "
         "string")
ENCODING = replace(ENCODE, run=_run_encode, draw=_draw_encode, variants=[
    *ENCODE.variants,
    ("integers-for-bytes", _ints, _INTS),
    ("merges-right-to-left", _each_time(lambda pairs, rank: pairs[-1]), "the last pair of the text "
     "is merged: the pair of the lowest rank comes first"),
    ("longest-pair-first", _each_time(lambda pairs, rank: max(
        pairs, key=lambda pair: len(pair[0] + pair[1]))), "the longest pair is merged: the pair of "
     "the lowest rank comes first"),
    ("shortest-pair-first", _each_time(lambda pairs, rank: min(
        pairs, key=lambda pair: len(pair[0] + pair[1]))), "the shortest pair is merged: the pair "
     "of the lowest rank comes first"),
    ("replaced-in-text", _in_the_text, "the bytes of a merge are looked for in the text: what "
     "counts is a pair of neighbouring tokens, as they are cut at that moment"),
    ("not-cut-into-bytes", _whole, "the text is not cut into bytes at the beginning"),
])
TRAINING = replace(TRAIN, run=_run_train, variants=[
    *TRAIN.variants,
    ("cut-at-spaces", _cut_at_spaces, "the text is cut at its spaces: here a pair may hold a "
     "space (GPT-2 does cut, but keeps the space with the word)"),
    ("stops-too-early", _stops_at_one, "it stops where no pair occurs twice: here it goes on until "
     "there are `count` merges, or one token is left"),
    ("tokens-for-merges", _joined, "it gives the joined tokens: a merge is the pair (left, right)"),
    ("one-merge-less", _one_too_few, "there is one merge too few"),
    ("one-merge-more", _one_too_many, "there is one merge too many"),
])


def _bytes_only(mine):
    """Integers in place of byte strings, which show before anything can be compared."""
    for name, out in (("train", mine.train(b"abab", 1)), ("encode", mine.encode(b"ab", []))):
        flat = [part for one in out for part in (one if isinstance(one, (tuple, list)) else [one])]
        if any(isinstance(part, int) for part in flat):
            return f"{name} gives {out!r}: {_INTS}."
        if any(isinstance(part, str) for part in flat):
            return f"{name} gives {out!r}: these are str; expected byte strings."
    return True


def _joined_again(mine):
    text = "aaaaaab é aab".encode()
    merges = [tuple(pair) for pair in mine.train(text, 6)]
    return b"".join(mine.encode(text, merges)) == text


def _edges(mine):
    return not mine.encode(b"", []) and [*mine.encode(b"a", [(b"a", b"a")])] == [b"a"] \
        and not mine.train(b"a", 3)


def grade(mine, g):
    """One merge, the training, and the encoding."""
    g.values(MERGED, mine.merged)
    if g.findings:          # the others may use merged
        return
    g.probe("integers-for-bytes", "tokens are byte strings", lambda: _bytes_only(mine))
    g.values(TRAINING, mine.train)
    g.values(ENCODING, mine.encode)
    g.probe("text-changed", "the tokens of a text, joined, are the text",
            lambda: _joined_again(mine))
    g.probe("empty-text", "no text gives no tokens, and one byte gives one", lambda: _edges(mine))


def after():
    """How many bytes a token of GPT-2 stands for, counted on this course's own words."""
    from pathlib import Path

    from npgpt.text import BPETokenizer

    text = Path(__file__).with_name("exercise.py").read_text(encoding="utf-8").split('"""')[1]
    tokens = len(BPETokenizer().encode(text))
    size = len(text.encode())
    return (f"GPT-2's 50,000 merges make {tokens} tokens of this exercise's story of {size} bytes: "
            f"{size / tokens:.1f} bytes each. Attention's work grows with the square of the "
            "length, so that factor counts twice. The same merges need far more tokens for "
            "languages and signs that were rare in the text they were learnt from, and so their "
            "users get less text into the same context.")
