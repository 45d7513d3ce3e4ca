"""`nearfield hello`: greet."""

from __future__ import annotations

from nearfield.cli.console import out


def hello(name: str = "world") -> None:
    """Greet somebody.

    Examples:

        nearfield hello --name Ada
    """
    out.print(f"hello {name}")
