from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from nearfield.data.chunk import SPLITTERS
from nearfield.data.chunk.chunks import chunks, tokens_of, words
from nearfield.errors import InputError

TEXTS = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            [
                "# A\n", "## B #\n", "```\n", "one two. Three? ", "\n\n", "  ", "漢字。", "def f(x):\n",
                "    class C {\n", "}\n", "@d\n", "// c\n", "int f(int a) {\n", "\t", "\r\n", "x" * 50,
                "e\u0301😀", "\u2028", "\x1c",
            ]
        )
    ).map("".join),
)  # fmt: skip
BYTES = Tokenizer(models.BPE(unk_token="?", vocab={"?": 0}, merges=[]))
BYTES.normalizer = normalizers.NFKD()
BYTES.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
BYTES.enable_truncation(2)


@pytest.mark.parametrize("by", list(SPLITTERS))
@given(text=TEXTS, size=st.integers(1, 12), overlap=st.integers(0, 11), model=st.booleans())
@example(text="# A\n\n## B\nx", size=12, overlap=0, model=False)
def test_places_are_exact_and_only_white_space_is_lost(
    by: str, text: str, size: int, overlap: int, model: bool
) -> None:
    starts = tokens_of(BYTES) if model else words
    found = chunks(text, by, size, min(overlap, size - 1), starts)
    tokens = starts(text)
    done = 0
    for one in found:
        assert text[one.start : one.end] == one.text == one.text.strip() != ""
        assert not text[done : one.start].strip()
        assert one.end > done
        inside = [at for at in tokens if one.start <= at < one.end]
        assert len(inside) <= size or len(set(inside)) == 1
        repeated = [at for at in inside if at < done]
        assert len(repeated) <= overlap
        done = one.end
    assert not text[done:].strip()


def test_tokens_are_the_models_and_a_limit_of_its_tokeniser_does_not_count() -> None:
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(3)
    text = "a-b c. d e f g"
    found = chunks(text, "tokens", 4, 1, tokens_of(tokenizer))
    assert [one.text for one in found] == ["a-b c", "c. d e", "e f g"]
    assert tokenizer.truncation is not None


def test_sentences_stay_whole_and_overlap_is_of_whole_ones() -> None:
    text = 'One two, e.g. three. "Four five!" Six seven eight nine ten.'
    assert [one.text for one in chunks(text, "sentences", 6)] == [
        'One two, e.g. three. "Four five!"',
        "Six seven eight nine ten.",
    ]
    found = chunks("A b. C d. E f. G h.", "sentences", 4, 2)
    assert [one.text for one in found] == ["A b. C d.", "C d. E f.", "E f. G h."]


def test_recursive_cuts_paragraphs_before_lines_and_sentences() -> None:
    text = "a b c\n\nd e f\ng h i. J k"
    assert [one.text for one in chunks(text, size=5)] == ["a b c", "d e f", "g h i. J k"]
    assert [one.text for one in chunks("漢字" * 3, size=4)] == ["漢字漢字", "漢字"]


def test_headings_are_a_path_and_none_is_in_a_fence() -> None:
    text = "before\n# A\n\n## B ##\nx y\n```\n# no\n```\n## C\nz\n# D\n"
    found = chunks(text, "headings")
    assert [one.headings for one in found] == [(), ("A", "B"), ("A", "C"), ("D",)]
    assert found[1].text.startswith("# A")
    assert "# no" in found[1].text


PYTHON = '''import os

@final
class A:
    """A class of things:"""

    # why
    @property
    def f(self) -> int:
        assert isinstance(self, A)
        return 1

    async def g(self): ...

X = 1
'''
BRACES = """#include <a>

// adds
static int add(int a, int b) {
  if (a) {
    return b;
  } else if (b) {
  }
  return a;
}

export class Foo extends Bar {
  private int size(int x) {
  }
}
func (r *T) Name(x int) error {
}
pub(crate) fn g<T>(x: T) -> u8 {
}
"""


def test_code_is_cut_at_definitions_with_what_stands_over_them() -> None:
    found = chunks(PYTHON, "code")
    assert [one.headings for one in found] == [(), ("A",), ("A", "f"), ("A", "g"), ()]
    assert found[1].text.startswith("@final")
    assert found[2].text.startswith("# why")
    found = chunks(BRACES, "code")
    assert [one.headings for one in found] == [
        (),
        ("add",),
        ("Foo",),
        ("Foo", "size"),
        ("Name",),
        ("g",),
    ]
    assert found[1].text.startswith("// adds")
    assert found[1].text.endswith("}")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": 0}, "the size of chunks is 0; wanted at least 1"),
        ({"size": 5, "overlap": 5}, "the overlap of chunks is 5; wanted 0 to 4"),
        ({"overlap": -1}, "the overlap of chunks is -1"),
        ({"by": "sentence"}, "no splitter 'sentence'.*Did you mean 'sentences'"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        chunks("a", **wrong)  # type: ignore[arg-type]
