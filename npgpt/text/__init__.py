"""Tokenizers and corpora.

    from npgpt.text import load_corpus
    corpus = load_corpus("shakespeare", tokenizer="char")
    ids = corpus.tokenizer.encode("ROMEO:")
"""

from .bpe import BPETokenizer
from .cache import cache_folder
from .chars import CharTokenizer
from .choose import tokenizer_from_dict
from .corpora import Corpus, load_corpus
from .named import CORPORA
from .sources import CorpusError
from .stream import StreamDecoder
from .tokenizer import Tokenizer

__all__ = [
    "BPETokenizer", "CORPORA", "CharTokenizer", "Corpus", "CorpusError", "StreamDecoder",
    "Tokenizer", "cache_folder", "load_corpus", "tokenizer_from_dict",
]
