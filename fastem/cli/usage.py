"""Refuse wrong usage in one sentence, with the word that was probably meant."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NoReturn

from fastem._printable import printable

SIMILAR = 0.5
"""How alike a suggestion is, from 0 to 1, as difflib measures it."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, and a line that says where the options are described."""

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 2."""
        self.exit(2, f"{self.prog}: error: {printable(message)}\n{self.prog} --help describes the options\n")


class CommandParser(Parser):
    """The parser of one command, which looks for misspelt options first: what follows one seems to be a file."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str], namespace: argparse.Namespace
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse arguments, and refuse what is left over."""
        options = [option for action in self._actions for option in action.option_strings]
        args = self._joined(args, options)
        for argument in args[: args.index("--") if "--" in args else None]:
            name = argument.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in options):
                self.error(f"there is no option {name}{did_you_mean(name, options)}")
        namespace, rest = super().parse_known_args(args, namespace)
        if rest and rest[0].startswith("-"):
            self.error(f"there is no option {rest[0]}{did_you_mean(rest[0], options)}")
        if rest:
            self.error(f"{rest[0]!r} is one argument too many")
        return namespace, rest

    def _joined(self, args: Sequence[str], options: list[str]) -> list[str]:
        """Join options to values that begin with a dash, such as --missing -,NA: argparse takes them for options."""
        valued = {option for action in self._actions if action.nargs is None for option in action.option_strings}
        joined: list[str] = []
        for argument in args:
            is_value = argument.startswith("-") and not argument.startswith("--") and argument not in options
            if is_value and joined and joined[-1] in valued and joined[-1].startswith("--"):
                joined[-1] += f"={argument}"
            else:
                joined.append(argument)
        return joined


def check_command(parser: Parser, arguments: Sequence[str], commands: Iterable[str]) -> None:
    """End the process if the first argument that is no option is not a command."""
    listed = ", ".join(commands)
    given = next((argument for argument in arguments if not argument.startswith("-")), None)
    if given is None and not {"-h", "--help", "--version"}.intersection(arguments):
        parser.error(f"a command is missing: {listed}")
    if given is not None and given not in commands:
        parser.error(f"there is no command {given!r}{did_you_mean(given, commands)}; there are {listed}")


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return a question that names the most similar word; "" if none is similar."""
    similar = close_to(word, list(words), n=1, cutoff=SIMILAR)
    return f": did you mean {similar[0]}?" if similar else ""


def close_to(word: str, words: Sequence[str], n: int, cutoff: float) -> list[str]:
    """Return the words that are most like a word; what compares them is imported for a wrong one alone."""
    return list(import_module("difflib").get_close_matches(word, words, n, cutoff))
