from __future__ import annotations

from nearfield.data.open import open_collection
from nearfield.data.sources.pydoc_topics import MIN_DOCUMENT, MIN_QUERY, pairs_of

REST = "The rest of it has more than eight words in all."
TOPICS = {
    "one": f"""Head of it
**********

The *first* sentence is here. {REST}

A code block follows this line, which has an end. It is:

   code = 1; more = "Not a sentence. But code, of several words, all the same."

* A bullet with "code" in it[1]. And then
  as many words as it takes to be taken.

   rule ::= "a" | "b"

Short one. {REST}
""",
    "two": f"Another paragraph, of its own. {REST.replace('rest', 'end')}\n\nThe *first* sentence "
    f"is here. {REST}",
    "three": f"A third one that shares nothing. {REST.replace('rest', 'middle')}",
}


def test_what_is_made_of_a_topic() -> None:
    found = pairs_of(TOPICS)
    assert {key.split(":")[0]: group for key, (group, _, _) in found.items()} == {
        "one": "two",
        "two": "two",
        "three": "three",
    }
    assert [(query, document) for _, query, document in found.values() if document != REST][:1] == [
        ('A bullet with "code" in it.', "And then as many words as it takes to be taken."),
    ]
    queries = [query for _, query, _ in found.values()]
    assert queries.count("The first sentence is here.") == 1
    assert len(queries) == len(set(queries)) == 4


def test_the_guard_of_this_python() -> None:
    collection = open_collection("pydoc-topics")
    assert collection.splits == ("dev", "test")
    sizes = [len(collection.split(name).query_ids) for name in collection.splits]
    assert min(sizes) > 150
    groups = dict(zip(collection.query_ids, collection.queries["group"].to_pylist(), strict=True))
    dev, test = (
        {groups[key] for key in collection.split(name).query_ids} for name in collection.splits
    )
    assert not dev & test
    queries, documents = list(collection.query_texts), list(collection.document_texts)
    assert len(set(queries)) == len(queries)
    assert len(set(documents)) == len(documents)
    assert all(len(query.split()) >= MIN_QUERY for query in queries)
    assert all(len(document.split()) >= MIN_DOCUMENT for document in documents)
    assert not any("::=" in text or "****" in text for text in documents)
