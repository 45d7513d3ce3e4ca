"""A pickle of torch.save's, read by an interpreter that knows what tensors are pickled with and
nothing else.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Made = TypeVar("Made")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUSHED = frozenset(
    ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE")
)
_MARK = object()


def unpickled(
    data: bytes,
    *,
    known: Mapping[str, Callable[..., Any]],
    storage: Callable[[tuple[Any, ...]], Any],
) -> Any:
    """What the pickle in `data` makes.

    `known` are the functions that it may call, by "module.name", and its classes that stand for
    themselves; `storage` is given each persistent id. A dictionary's keys are strings, and no state
    is set on what was made. Memory and time are of the order of the pickle's length, but for what
    `known` and `storage` take. Raises ValueError where the pickle asks for more, or is damaged.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for operation, argument, _ in pickletools.genops(data):
        name = operation.name
        if name in _PUSHED:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = _top(stack)
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in memo:
                raise ValueError("it takes from its memo what is not there")
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_global(str(argument).replace(" ", "."), known))
        elif name == "STACK_GLOBAL":
            attribute, module = _pop(stack), _pop(stack)
            stack.append(
                _global(
                    f"{module if isinstance(module, str) else ''}."
                    f"{attribute if isinstance(attribute, str) else ''}",
                    known,
                )
            )
        elif name == "STOP":
            return _pop(stack)
        elif name not in ("PROTO", "FRAME"):
            _collect(name, stack, storage)
    raise ValueError("it ends too early")


def _collect(name: str, stack: list[Any], storage: Callable[[tuple[Any, ...]], Any]) -> None:
    """The operations that make something of what is on the stack."""
    if name in ("MARK", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
        stack.append(
            {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]()
            if name != "MARK"
            else _MARK
        )
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        stack.append(tuple(reversed([_pop(stack) for _ in range(int(name[-1]))])))
    elif name == "TUPLE":
        stack.append(tuple(_since_mark(stack)))
    elif name == "BINPERSID":
        stack.append(storage(_as(tuple, _pop(stack))))
    elif name == "REDUCE":
        arguments, function = _as(tuple, _pop(stack)), _pop(stack)
        if not isinstance(function, _Known):
            raise ValueError("it calls what is no function")
        stack.append(function.call(*arguments))
    elif name in ("SETITEM", "SETITEMS"):
        items = (
            _since_mark(stack) if name == "SETITEMS" else list(reversed([_pop(stack), _pop(stack)]))
        )
        kept = _as(dict, _top(stack))
        if len(items) % 2 or not all(type(key) is str for key in items[::2]):
            raise ValueError("a dictionary has a key that is no string")
        kept.update(zip(items[::2], items[1::2], strict=True))
    elif name == "BUILD":
        _pop(stack)
        _as(dict, _top(stack))  # of a state dict torch keeps versions, which nothing here reads
    else:
        raise ValueError(f"it has the operation {name}, which no file of tensors has")


class _Known:
    """A function that a pickle may call: nothing that it can write to, compare or print."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


def _global(name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ValueError(f"it asks for {name[:80]}")
    found = known[name]
    return _Known(found) if callable(found) else found


def _pop(stack: list[Any]) -> Any:
    found = _top(stack)
    stack.pop()
    return found


def _top(stack: list[Any]) -> Any:
    if not stack or stack[-1] is _MARK:
        raise ValueError("an operation lacks what it works on")
    return stack[-1]


def _since_mark(stack: list[Any]) -> list[Any]:
    found: list[Any] = []
    while stack and stack[-1] is not _MARK:
        found.append(stack.pop())
    if not stack:
        raise ValueError("an operation lacks its mark")
    stack.pop()
    return found[::-1]


def _as(kind: type[Made], value: Any) -> Made:
    if not isinstance(value, kind):
        raise ValueError(f"it has a {type(value).__name__} where a {kind.__name__} belongs")
    return value
