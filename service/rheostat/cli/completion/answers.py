"""How a line comes from the script of a shell, and what goes back to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from typer.main import get_command

from rheostat.cli.app import complete
from rheostat.cli.completion import VARIABLE
from rheostat.cli.completion.asking import Service
from rheostat.cli.completion.line import split
from rheostat.cli.completion.offers import FILES, MANY, Asked, offered
from rheostat.cli.completion.phrases import Offer
from rheostat.cli.completion.places import place
from rheostat.cli.whereabouts import whereabouts
from rheostat.errors import Invalid, Unreachable
from rheostat.token_file import TOKEN, of_environment
from rheostat.visible import UNSEEN


def answer(arguments: Sequence[str], variables: Mapping[str, str]) -> str:
    """Return what is said to the script of a shell: see `rheostat.cli.completion`."""
    shell = variables[VARIABLE]
    words, typed = split(arguments[0]) if shell == "bash" else (arguments[:-1], arguments[-1])
    found = completions(list(words[1:]), typed, variables)
    if FILES in found:
        return "files\n"
    if shell == "bash":
        begun = _begun(typed, variables.get("COMP_WORDBREAKS", "=:"))
        found = [Offer(_quoted(each.word[len(begun) :])) for each in found]
    lines = [f"{each.word}\t{each.what}".rstrip("\t") for each in found]
    is_open = bool(found) and all(each.word.endswith("=") for each in found)
    return "\n".join(["open" if is_open else "words", *map(_one_line, lines)]) + "\n"


def completions(words: Sequence[str], typed: str, variables: Mapping[str, str]) -> list[Offer]:
    """Return what may complete a word that was begun behind others."""
    here = place(get_command(complete()), words)
    if here is None:
        return []
    told = here.said("server") or variables.get("RHEOSTAT_URL") or None
    try:
        there = whereabouts(told, here.said("token") or variables.get(TOKEN) or _of_file())
    except (Invalid, Unreachable):
        return []
    asked = Asked(here, typed, Service(there.url, there.token))
    fitting = (each for each in offered(asked) if each == FILES or each.word.startswith(typed))
    found = {each.word: each for each in islice(fitting, MANY)}
    return [*found.values()]


def _of_file() -> str | None:
    file = of_environment()
    return None if file is None else file.token


def _begun(typed: str, breaks: str) -> str:
    """Return how much of a word bash takes for words of their own: up to its last ``=`` or so."""
    return typed[
        : max((typed.rfind(each) for each in breaks if not each.isspace()), default=-1) + 1
    ]


def _quoted(word: str) -> str:
    return "".join(f"\\{each}" if each in " \t'\"\\$`;&|<>()*?[]{}!#~" else each for each in word)


def _one_line(text: str) -> str:
    head, tab, what = text.partition("\t")
    return UNSEEN.sub("", head) + (tab and tab + UNSEEN.sub(" ", what)[:100])
