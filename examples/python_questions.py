"""A table as a help desk would export it: questions and answers of some 100 words, in CSV.

python examples/python_questions.py questions.csv [ROWS]

Rows (1,200 by default) are made of the documentation in the sources of numpy, scipy, scikit-learn
and networkx, which come with nearfield: a question is the first sentence on a function or
class, the answer what follows it before the examples. Nothing is imported or downloaded.
"""

import ast
import csv
import hashlib
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("numpy", "scipy", "sklearn", "networkx")
QUESTION_WORDS, ANSWER_WORDS = range(5, 31), range(70, 141)
EXAMPLES = re.compile(r"\n\s*(Examples?\b|References?\b|See Also\b|>>> |\.\. )")
MARKUP = re.compile(r":\w+:(?=`)|`|-{3,}|={3,}|~{3,}")
SENTENCE = re.compile(r".+?[.!?](?=\s|$)", re.DOTALL)


def rows() -> Iterator[tuple[str, str, str]]:
    """Question, answer and module of each documented function and class that fits."""
    root = Path(sysconfig.get_path("purelib"))
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            module = ".".join(file.relative_to(root).with_suffix("").parts)
            if "test" in module:
                continue
            for node in ast.walk(parsed(file)):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    question, answer = halves(ast.get_docstring(node) or "")
                    if not node.name.startswith("_") and fits(question, answer):
                        yield question, answer, module


def parsed(file: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the sources' own escapes
        return ast.parse(file.read_bytes())


def halves(text: str) -> tuple[str, str]:
    """The first sentence, and what follows it up to the examples."""
    found = SENTENCE.match(text)
    if found is None:
        return "", ""
    answer = EXAMPLES.split(text[found.end() :])[0]
    return plain(found[0]), plain(answer)


def plain(text: str) -> str:
    """On one line, without marks of headings and names."""
    return " ".join(MARKUP.sub("", text).split())


def fits(question: str, answer: str) -> bool:
    return len(question.split()) in QUESTION_WORDS and len(answer.split()) in ANSWER_WORDS


def write(path: str, most: int = 1200) -> int:
    """Write at most so many rows, chosen by the SHA-256 of their questions; how many there are."""
    once = {question: (question, answer, module) for question, answer, module in rows()}
    chosen = sorted(once, key=lambda question: hashlib.sha256(question.encode()).hexdigest())[:most]
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("question", "answer", "module"))
        writer.writerows(once[question] for question in chosen)
    return len(chosen)


if __name__ == "__main__":
    print(f"{write(sys.argv[1], *map(int, sys.argv[2:])):,} rows in {sys.argv[1]}")
