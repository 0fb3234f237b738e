"""What is read out of an answer that is no tensor: the part that is named, or the one that looks like logits."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from bench.core.errors import RequestError
from bench.core.nearest import unknown

Readout = str | int | Callable[[Any], Tensor]
LOGITS = "logits"


def picked(answer: Any, readout: Readout) -> Tensor:
    """The part of an answer that `readout` names. Raises RequestError where it has no such part."""
    if callable(readout):
        return readout(answer)
    try:
        if isinstance(readout, str) and not isinstance(answer, dict):
            return getattr(answer, readout)
        return answer[readout]
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        names = [str(name) for name, _ in _parts(answer)]
        if isinstance(answer, (tuple, list)) and not (names and isinstance(readout, str)):
            raise RequestError(
                f"the model's answer is a {type(answer).__name__} of {len(answer)}, and readout={readout!r} is no place in "
                f"it; a number below {len(answer)} is needed{_example(answer)}"
            ) from error
        kind = "key" if isinstance(answer, dict) else "attribute"
        raise RequestError(unknown(kind, str(readout), names, of="the model's answer")) from error


def suggested(answer: Any, size: int) -> str:
    """The `readout` that takes the logits of `size` samples from an answer, in Python and in the shell.

    It is what is named logits, else the only floating tensor (N, K), else the first part.
    """
    parts = dict(_parts(answer)) or (dict(enumerate(answer)) if isinstance(answer, (tuple, list)) else {})
    fitting = [name for name, part in parts.items() if _like_logits(part, size)]
    place = LOGITS if LOGITS in parts else fitting[0] if len(fitting) == 1 else next(iter(parts), None)
    if not isinstance(place, (str, int)):
        return "readout=lambda answer: answer.logits"
    return f"readout={place!r} (--readout {shlex.quote(str(place))})"


def _example(answer: tuple[Any, ...] | list[Any]) -> str:
    sizes = [len(part) for part in answer if isinstance(part, Tensor) and part.dim()]
    return f", for example {suggested(answer, sizes[0])}" if sizes else ""


def _parts(answer: Any) -> Iterator[tuple[Any, Any]]:
    """Names and values of the entries of a dictionary; of anything else, of the attributes that hold tensors."""
    if isinstance(answer, dict):
        yield from answer.items()
        return
    for name in (
        [] if isinstance(answer, Tensor) else [*getattr(answer, "_fields", ()), *getattr(answer, "__dict__", ())]
    ):
        with contextlib.suppress(AttributeError):
            value = getattr(answer, name)
            if isinstance(value, Tensor) and not name.startswith("_"):
                yield name, value


def _like_logits(part: object, size: int) -> bool:
    return isinstance(part, Tensor) and part.dim() == 2 and len(part) == size and part.is_floating_point()
