"""A dialect: POST /plain {"texts": [...]} gives the vectors alone."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from nearfield.serve.call import Call
from nearfield.serve.dialect import Dialect, Route
from nearfield.serve.refusal import Refusal
from nearfield.serve.vectors import vectors


class Texts(BaseModel):
    """The body of `/plain`."""

    texts: list[str]


async def _embed(call: Call, body: Texts) -> Any:
    return vectors(call, await call.rows(call.models.first("one_vector"), body.texts))


def error(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """The words alone."""
    return refusal.status, {"said": str(refusal)}


DIALECT = Dialect("plain", (Route("/plain", _embed, Texts),), error)
