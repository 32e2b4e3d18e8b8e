"""Make tokenizers/: byte-level BPE as transformers writes it, and its ids of many strings.

    python tests/golden/make_tokenizers.py      # needs transformers, and npgpt beside it

    json/       tokenizer.json, learned from sentences, with added tokens and ids in another order
    two_files/  vocab.json, merges.txt, added_tokens.json, special_tokens_map.json
    own_gpt2/   GPT-2's own table: only its ids are stored
strings.json.gz holds the strings, and for each tokenizer their ids, with special tokens as text and
with special tokens as tokens. The test suite reads the files and needs none of this.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))
PLACE = HERE / "tokenizers"
SENTENCES = """\
The quick brown fox jumps over the lazy dog; it's 1,234.50 miles, isn't it?
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío, añoraba a su querido cachorro.
Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis.
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.
Съешь же ещё этих мягких французских булок, да выпей чаю.
Μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος οὐλομένην.
דג סקרן שט בים מאוכזב ולפתע מצא חברה.
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر.
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश।
いろはにほへと ちりぬるを わかよたれそ つねならむ。
키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.
视野无限广，窗外有蓝天。天地玄黄，宇宙洪荒。
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า
Pijamalı hasta yağız şoföre çabucak güvendi.
def f(x):    return x ** 2  # ∀x ∈ ℝ: x² ≥ 0 🙂👩‍💻
""".splitlines()
ADDED, SPECIAL = ("Wenceslao", "宇宙"), ("[PAD]", "<mask token>")


def strings() -> list[str]:
    """Parts of sentences, joined at random, with signs from all over Unicode and tokens between."""
    rng = random.Random(0)
    result = []
    for i in range(2400):
        parts = []
        for _ in range(rng.randint(1, 3)):
            sentence = rng.choice(SENTENCES)
            start = rng.randrange(len(sentence))
            parts.append(sentence[start:start + rng.randint(1, 20)])
        if i % 3 == 0:
            parts.append("".join(chr(rng.choice((
                rng.randrange(0x20, 0x7F), rng.randrange(0xA0, 0x2000),
                rng.randrange(0x2000, 0xD800), rng.randrange(0xE000, 0x10000),
                rng.randrange(0x10000, 0x20000))))
                for _ in range(rng.randint(1, 5))))
        if i % 4 == 0:
            parts.append(rng.choice(("<|endoftext|>", *ADDED, *SPECIAL)))
        rng.shuffle(parts)
        result.append(rng.choice(("", " ", "\n", "  ", "\t")).join(parts))
    return result


def learned(size: int) -> Tokenizer:
    """Byte-level BPE from the sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(SENTENCES * 3, trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def write_json(folder: Path) -> None:
    """tokenizer.json with ids in another order than the merges."""
    content = json.loads(learned(900).to_str())
    vocab = content["model"]["vocab"]
    ids = random.Random(1).sample(range(len(vocab)), len(vocab))
    content["model"]["vocab"] = dict(zip(vocab, ids))
    content["added_tokens"][0]["id"] = content["model"]["vocab"]["<|endoftext|>"]
    fast = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(content)),
                                   eos_token="<|endoftext|>")
    fast.add_tokens(list(ADDED))
    fast.add_special_tokens({"pad_token": SPECIAL[0], "mask_token": SPECIAL[1]})
    fast.save_pretrained(folder)


def write_two_files(folder: Path, model: dict, added: dict) -> None:
    """The files of a GPT-2 tokenizer as transformers wrote them before there was tokenizer.json."""
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [" ".join(merge) for merge in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    if added:
        (folder / "added_tokens.json").write_text(json.dumps(added))
    (folder / "special_tokens_map.json").write_text(json.dumps({
        "eos_token": "<|endoftext|>", "bos_token": {"content": "<|endoftext|>"},
        "unk_token": "<|endoftext|>", **({"pad_token": SPECIAL[0]} if added else {})}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))


def check_written(folder: Path, texts: list[str], plain: list[list[int]]) -> None:
    """npgpt reads the folder and writes it; what transformers loads of that gives the same ids."""
    from npgpt.text.pretrained import read_tokenizer, tokenizer_files

    with tempfile.TemporaryDirectory() as again:
        for name, text in tokenizer_files(read_tokenizer(folder)).items():
            (Path(again) / name).write_text(text, encoding="utf-8")
        tokenizer = AutoTokenizer.from_pretrained(again)
        for text, ids in zip(texts, plain):
            found = tokenizer(text, add_special_tokens=False,
                              split_special_tokens=True)["input_ids"]
            if found != ids or tokenizer.decode(ids) != text:
                raise SystemExit(f"{folder.name}: written by npgpt, {text!r} has other ids")


def main() -> None:
    """Write every folder and the strings."""
    from npgpt.text.vocabulary import END_OF_TEXT, gpt2, written

    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    write_json(PLACE / "json")
    model = json.loads(learned(600).to_str())["model"]
    write_two_files(PLACE / "two_files", model, {SPECIAL[0]: len(model["vocab"])})
    own = gpt2()
    write_two_files(PLACE / "own_gpt2", {
        "vocab": {written(token): i for token, i in own.ids.items()} | {END_OF_TEXT: 50256},
        "merges": [[written(left), written(right)] for left, right in own.merges]}, {})

    texts = strings()
    content: dict = {"strings": texts, "tokenizers": {}}
    for folder in sorted(PLACE.iterdir()):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        plain, special = (
            [tokenizer(text, add_special_tokens=False, split_special_tokens=split)["input_ids"]
             for text in texts] for split in (True, False))
        content["tokenizers"][folder.name] = {"plain": plain, "special": special,
                                              "end": tokenizer.eos_token_id}
        check_written(folder, texts, plain)
    shutil.rmtree(PLACE / "own_gpt2")
    packed = gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0)
    (PLACE / "strings.json.gz").write_bytes(packed)
    for file in PLACE.rglob("*"):
        if file.is_file():
            file.chmod(0o644)
    print({name: sum(map(len, each["plain"])) for name, each in content["tokenizers"].items()})


if __name__ == "__main__":
    main()
