"""Two hundred texts that break encoders: empty, one token, over-length, other scripts, emoji, line
breaks, prompt-like.
"""

from __future__ import annotations

import random

BASE = [
    "",
    " ",
    "a",
    ".",
    "\n",
    "\t\t",
    "hello world",
    "  leading and trailing  ",
    "line\nbreaks\r\nand\ttabs",
    "日本語のテキスト",
    "العربية نص قصير",
    "Ελληνικά και Ünïcödé ÀÉ",
    "😀",
    "emoji 👩‍👩‍👧 in the middle",
    "query: what is it",
    "passage: it is this",
    "search_document: x",
    "[CLS] special [SEP] tokens [MASK]",
    "Represent this sentence for searching relevant passages: tides",
    "don't can't won't",
    "http://a.b/c?d=e&f=g#h",
    "İstanbul ﬁ ligature",
    "\u200bzero width\u200b",
    "x" * 500,
    "word " * 700,
    "def f(x):\n    return [y for y in x if y]\n",
    "1,234.56 € = $1300",
    "ＡＢＣ full width",
    "नमस्ते दुनिया",
    "привет мир",
    "null \x00 byte",
]


def nasty_texts(count: int = 200, *, seed: int = 0, longest: int = 300) -> list[str]:
    """The texts above and random mixtures of their words, of very different lengths, up to
    `longest` words.
    """
    lengths = [length for length in (1, 2, 5, 20, 80, 300) if length <= longest]
    generator = random.Random(seed)
    words = [word for text in BASE for word in text.split(" ") if len(word) < 40]
    mixed = [
        " ".join(generator.choices(words, k=generator.choice(lengths)))
        for _ in range(count - len(BASE))
    ]
    return [*BASE, *mixed]
