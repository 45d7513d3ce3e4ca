"""Words against Unicode's own rule (UAX #29), as the library uniseg has it."""

from __future__ import annotations

import itertools
import re
import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nearfield.types.word_rule import UNSPACED, folded, words

uniseg = pytest.importorskip(
    "uniseg.wordbreak", reason="uniseg, the oracle of word boundaries, is not installed"
)

SENTENCES = {
    "Devanagari": "क्रिकेट टीम ने मैच जीत लिया, और १२.५ लोग खुश हैं।",
    "Bengali": "বাংলা ভাষা একটি সুন্দর ভাষা।",
    "Tamil": "தமிழ் மொழி மிகவும் பழமையானது.",
    "Telugu": "తెలుగు భాష చాలా అందమైనది.",
    "Malayalam": "മലയാളം ഭാഷ മനോഹരമാണ്.",
    "Sinhala": "සිංහල භාෂාව ලස්සනයි.",
    "Gurmukhi": "ਪੰਜਾਬੀ ਬੋਲੀ ਮਿੱਠੀ ਹੈ।",
    "Hebrew": "בְּרֵאשִׁית בָּרָא אֱלֹהִים צה״ל ג׳ירפה",
    "Arabic": "بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ ٱلرَّحِيمِ",
    "Persian": "می‌خواهم کتاب‌ها را بخوانم",
    "Tibetan": "བོད་ཀྱི་སྐད་ཡིག",
    "Syriac": "ܫܠܵܡܵܐ ܥܲܠܘܿܟ݂",
    "decomposed": unicodedata.normalize("NFD", "Ångström Việt café naïve"),
    "Ukrainian": "сім'я й об’єкт",
    "Catalan": "la col·lecció",
    "Ethiopic": "ሰላም ለዓለም፡ ደህና",
    "Korean": "한국어 검색 엔진",
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ",
    "Thaana": "ދިވެހި ބަސް",
    "Thai": "ภาษาไทยน้ำ",
    "Lao": "ພາສາລາວ",
    "Khmer": "ភាសាខ្មែរ។",
    "Burmese": "မြန်မာဘာသာ။",
    "Japanese": "これは検索のテストです、㍿ｶﾞｲﾄﾞ。",
    "Chinese": "搜索引擎，𠀀𠮷野家々〇",
    "numbers": "3.5 mm of 1,000, x2 2x 1.2.3",
}
LATIN = re.compile("(?<=[a-zß-ɏ])'(?:[^\\W_](?!\\w))?|'(?!\\w)")
ALONE = re.compile(rf"(?=\w)[{UNSPACED}]\W*|(?:(?!(?=\w)[{UNSPACED}]).)+")


def by_unicode(text: str) -> list[str]:
    """The segments of the folded text that have a letter or digit, cut further where our rule says
    that it does.
    """
    cut = LATIN.sub(" ", re.sub(r"(?<!\d)[._:]|[._:](?!\d)", " ", folded(text)))
    segments = [segment for segment in uniseg.words(cut) if any(map(str.isalnum, segment))]
    return [part for segment in segments for part in ALONE.findall(segment)]


@pytest.mark.parametrize("script", SENTENCES)
def test_a_sentence_is_cut_as_unicode_cuts_it(script: str) -> None:
    text = SENTENCES[script]
    assert words(text) == by_unicode(text)
    assert words(" ".join(words(text))) == words(text)


BLOCKS = (
    "09",
    "0a",
    "0b",
    "0c",
    "0d",
    "05",
    "06",
    "07",
    "0f",
    "0e",
    "10",
    "17",
    "30",
    "4e",
    "ac",
    "ff",
    "03",
    "1f",
    "200",
)
ALPHABETS = [
    st.sampled_from(
        [
            chr(code)
            for code in range(int(f"{block}00", 16), int(f"{block}ff", 16) + 1)
            if unicodedata.category(chr(code)) in ("Lu", "Ll", "Lo", "Lm", "Mn", "Mc", "Nd")
        ]
    )
    for block in BLOCKS
]


@settings(max_examples=300)
@given(
    st.one_of(
        [
            st.lists(st.one_of(letters, st.sampled_from(" /-a1é\u0301")), max_size=12)
            for letters in ALPHABETS
        ]
    )
)
def test_any_text_of_one_script_is_cut_as_unicode_cuts_it(characters: list[str]) -> None:
    text = "".join(characters)
    assume(
        not any(
            before in " /-" and unicodedata.category(mark)[0] == "M"
            for before, mark in itertools.pairwise(text)
        )
    )
    assert words(text) == by_unicode(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cafe\u0301", "CAFÉ"),
        ("ｶﾞｲﾄﾞ", "ガイド"),
        ("Ａｂｃ", "abc"),
        ("ﬁne STRASSE", "fine straße"),
        ("İstanbul", "istanbul"),
        ("مُحَمَّـد", "محمد"),
        ("שָׁלוֹם", "שלום"),
        ("צה״ל", 'צה"ל'),
        ("ܫܠܵܡܵܐ", "ܫܠܡܐ"),
        ("می\u200cخواهم", "میخواهم"),
        ("об’єкт обʼєкт", "об'єкт об'єкт"),
        ("क़लम", "क\u093cलम"),
        ("co\u00adoperate 1\ufe0f\u20e3", "cooperate 1"),
        ("Windows™", "windows"),
        ("葛\U000e0100飾", "葛飾"),
        ("1\u200b2", "1 2"),
        ("dog's dogs’", "dog dogs"),
        ("l’eau", "l eau"),
        ("os.path.join_all a:b", "os path join all a b"),
        ("vitamin D", "VITAMIN d"),
    ],
)
def test_what_is_written_in_other_ways_is_the_same_words(one: str, other: str) -> None:
    assert words(one) == words(other) != []


def test_words_keep_what_means_something() -> None:
    assert words("é e") == ["é", "e"]
    assert words("3.5 35 C") == ["3.5", "35", "c"]
    assert words("ガ ガ カ") == ["ガ", "ガ", "カ"]
    assert words("😀 ... — _ ' ́") == []
