"""Reads a command's words; what is wrong with them is said in one sentence, without the usage."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """As argparse's, with messages of one sentence, the nearest option among them."""

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        arguments, rest = self.parse_known_args(args, namespace)
        if rest:
            command: Parser = getattr(arguments, "parser", self)
            wrong = next((word for word in rest if word.startswith("-")), None)
            command.error(f"unexpected {' '.join(rest)}" if wrong is None else command.about(wrong.partition("=")[0]))
        return arguments

    def about(self, option: str) -> str:
        """What is wrong with an option that this command does not have."""
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        near = difflib.get_close_matches(option, known, n=1)
        return f"unknown option {option}" + (f"; did you mean {near[0]}?" if near else "")

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2, after one sentence."""
        text = message.removeprefix("argument ")
        print(
            f"bench: {text}{' ' if text.endswith('?') else '; '}`{self.prog} --help` shows what is allowed",
            file=sys.stderr,
        )
        raise SystemExit(2)
