"""The names that columns have for what they mean, in many words and languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

# Meanings and the names that columns have for them, the more telling name first: a table with both
# `context` and `answer` is a reading set, whose documents are the contexts.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    meaning: tuple(words.split())
    for meaning, words in {
        "query": """
            query question anchor sentence1 text1 question1 source
            sentence_a text_a satz1 phrase1 frase1
            queries questions search_query search_term user_query user_question prompt instruction
            frage anfrage suchanfrage suchbegriff pregunta consulta domanda pergunta requête vraag
            fråga spørgsmål pytanie otázka kérdés kysymys întrebare soru вопрос запрос питання
            ερώτηση 質問 問い 問題 问题 查询 질문 질의 문의 سؤال שאלה प्रश्न คำถาม câu_hỏi pertanyaan
        """,
        "positive": """
            positive document passage context positive_ctxs answer response sentence2 text2
            question2 target pos positives documents passages answers answer_text completion reply
            clicked sentence_b text_b satz2 phrase2 frase2
            clicked_document clicked_documents clicked_passage clicked_passages relevant_document
            relevant_documents chosen
            antwort dokument respuesta documento risposta resposta réponse antwoord svar odpowiedź
            odpověď válasz vastaus răspuns cevap yanıt ответ документ відповідь απάντηση 回答 答え
            答案 文書 文档 답변 대답 문서 إجابة جواب תשובה उत्तर คำตอบ câu_trả_lời jawaban
        """,
        "negatives": """
            negatives negative hard_negatives hard_negative neg hard_negative_ctxs
            not_clicked unclicked skipped not_clicked_documents negative_documents
            negative_passages irrelevant_documents rejected
            negativ negativo negativi négatif 負例 负例 негатив
        """,
        "score": """
            score similarity similarity_score label is_duplicate ähnlichkeit similarité similitud
            somiglianza
        """,
        "label": """
            label_text label labels category class intent topic kategorie thema categoría categoria
            catégorie категория カテゴリ 类别 分类 카테고리 분류
        """,
        "relevance": """
            relevance relevanz relevancia rilevanza pertinence is_relevant is_selected is_clicked
        """,
        "group": "group gruppe grupo gruppo groupe группа グループ 그룹",
        "split": "split",
        "text": """
            text content contents body page_content chunk section section_text paragraph article
            sentence sentences utterance tweet review message
            inhalt abschnitt texto contenido testo contenuto texte contenu conteúdo tekst текст
            содержание テキスト 本文 内容 文本 正文 본문 내용 텍스트 نص טקסט
        """,
        "title": """
            title heading headline titel überschrift título titulo titolo titre tytuł заголовок
            название タイトル 見出し 题目 标题 제목 عنوان
        """,
        "id": "id _id",
    }.items()
}
_SCORES = "rating bewertung note punkte puntuacion nota punteggio gold goldscore relatednessscore"
RATINGS: Final = tuple(_SCORES.split())
"""Names of a score where it stands beside two texts of one kind."""
_CLICKS = """
    clicked click clicks relevant selected correct iscorrect isanswer accepted purchased bought
    geklickt angeklickt gekauft relevante pertinent clique clic clicado hizoclic comprado cliccato
"""
FLAGS: Final = frozenset(_CLICKS.split())
"""Names, as `plain` gives them, of columns that say whether a document answers, where all that is
in them is yes and no.
"""
_FIRST = "anchor sentence1 text1 question1 sentencea texta satz1 phrase1 frase1"
ALIKE: Final = frozenset(_FIRST.split())
"""Names, as `plain` gives them, of the first of two texts of one kind."""
_NUMBERED_NEGATIVE = re.compile(r"(hard)?negative\d+")
# around a column's name, byte order marks of joined files too
BLANKS = " \t\r\n\f\v\xa0\u200b\ufeff"
# without id and no, which are an identifier and a number
_LANGUAGES = "ar cs da de el en es fi fr he hi hu it ja ko nl pl pt ro ru sv th tr uk vi zh"
_SUFFIX = re.compile(
    rf"[\s_.:/-]+(?:{'|'.join(_LANGUAGES.split())})$|\.(?:text|value|content|body)$", re.IGNORECASE
)
_IN_BRACKETS = re.compile(r"\s*[(\[（【][^()\[\]（）【】]*[)\]）】]\s*$")
_ACCENTS = re.compile("[\u0300-\u036f]")  # of Latin, Greek, Cyrillic; other marks are letters


def plain(name: str) -> str:
    """A column's name without what does not change its meaning: case, accents, blanks, hyphens,
    underscores, at its end a language, anything in brackets or that it is a part with a text; the
    Arabic article.
    """
    whole = _key(name)
    if whole in _KNOWN:
        return whole
    # brackets, and then a language, are cut off only where that leaves a known name
    shorter = _IN_BRACKETS.sub("", name.strip(BLANKS))
    for key in (_key(shorter), _key(_SUFFIX.sub("", shorter))):
        if key in _KNOWN:
            return key
    return whole


def by_plain_name(names: Sequence[str]) -> dict[str, str]:
    """Each name by what `plain` makes of it; of several that are alike then, the first."""
    return {plain(name): name for name in reversed(names)}


def first_called(by_key: Mapping[str, str], keys: Iterable[str]) -> str | None:
    """The name in `by_key` that the first of `keys` finds, None where none does."""
    for key in keys:
        if key in by_key:
            return by_key[key]
    return None


def numbered_negative(name: str) -> bool:
    """Whether the name is that of one of several columns of negatives, as negative_2."""
    return bool(_NUMBERED_NEGATIVE.fullmatch(_key(name)))


def known(name: str) -> bool:
    """Whether a column of this name has a meaning."""
    return plain(name) in _KNOWN or numbered_negative(name)


def _key(name: str) -> str:
    # Turkish's letter without a dot is written with one elsewhere; then the Arabic article
    name = name.strip(BLANKS).casefold().replace("ı", "i").removeprefix("ال")
    # NFKD takes accents off their letters; NFKC joins again what is no accent, as Korean's
    # syllables
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", name))
    # a leading underscore stays: _id
    return re.sub(r"(?<!^)[\W_]+|[\s-]+", "", unicodedata.normalize("NFKC", bare)) or bare


KEYS: Final = {meaning: tuple(map(_key, words)) for meaning, words in NAMES.items()}
"""The names as `plain` gives them."""
_KNOWN = frozenset(key for keys in KEYS.values() for key in keys)
