from __future__ import annotations

import pytest

from nearfield.errors import ContractError
from nearfield.types.contract import Contract


def test_a_task_in_words_makes_the_prompt_of_its_role() -> None:
    contract = Contract(
        "m", 4, 16, prompts={"document": "d: "}, templates={"query": "Instruct: {task}\nQuery: "}
    )
    told = contract.instructed("query", "Find {the} answer")
    assert told.prompt("query") == "Instruct: Find {the} answer\nQuery: "
    assert told.prompt("document") == "d: "
    assert contract.prompt("query") == ""


def test_a_role_without_a_template_takes_no_task() -> None:
    contract = Contract("m", 4, 16, templates={"query": "{task}: "})
    with pytest.raises(
        ContractError,
        match="m takes no task in words in role 'document'; query has a template for one",
    ):
        contract.instructed("document", "Find it")
    with pytest.raises(ContractError, match="no role has a template"):
        Contract("m", 4, 16).instructed("query", "Find it")


def test_a_template_without_a_place_for_the_task_is_an_error() -> None:
    with pytest.raises(
        ContractError,
        match=r"the template of role 'query' is 'Instruct: '; "
        r"wanted \{task\} where the task goes",
    ):
        Contract("m", 4, 16, templates={"query": "Instruct: "})


def test_a_prompt_of_queries_alone_is_for_searching() -> None:
    bge = Contract("bge", 4, 16, prompts={"query": "Represent this sentence: "})
    assert bge.role_of_alike() == "document"
    e5 = Contract("e5", 4, 16, prompts={"query": "query: ", "document": "passage: "})
    assert e5.role_of_alike(["clustering"]) == "query"
    nomic = Contract("nomic", 4, 16, prompts={"query": "q: ", "clustering": "clustering: "})
    assert nomic.role_of_alike(["similarity", "clustering"]) == "clustering"
    told = Contract("told", 4, 16, prompts={"query": "Find: "}, templates={"query": "{task}"})
    assert told.role_of_alike() == "query"
    assert Contract("plain", 4, 16).role_of_alike() == "query"
