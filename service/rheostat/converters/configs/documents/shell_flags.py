"""
Command lines, and the shell scripts that they stand in: read as words, never run.

What a script assigns literally is filled in: variables, arrays, what is added to them. A word that
needs more than that, as ``$(…)``, arithmetic or the environment, is kept as `Unknown`: it is wrong
only where its flag is read. The flags of several commands are taken together where they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rheostat.converters.configs.documents.refusals import OtherSyntaxError, refused
from rheostat.converters.configs.documents.shell_script import Command, commands_of
from rheostat.converters.configs.flags import Flags, Unknown, flags_of, is_flag
from rheostat.converters.configs.unread_fields import sounds_like_a_schedule

_SILENT: Final = frozenset({"echo", "printf", "set"})
"""Commands that only print their words, or set up the shell."""


def read_shell(text: str) -> Flags:
    """Return the flags of a script, or of a command line alone."""
    commands = [each for each in commands_of(text) if each.words[0] not in _SILENT]
    if any(each.words[0].endswith(":") and len(each.words[0]) > 1 for each in commands):
        raise OtherSyntaxError("it has the keys of YAML")
    if commands and all(is_flag(each.words[0]) for each in commands):  # lines of flags alone
        words = [word for each in commands for word in each.words]
        commands = [Command(words, commands[0].line)]
    having = [(each, flags) for each in commands if (flags := flags_of(each.words))]
    if not having:
        raise OtherSyntaxError("it has no flags, as --lr 1e-4")
    scheduled = [item for item in having if any(map(_is_of_a_schedule, item[1]))]
    for command, _ in scheduled:
        _check_whole(command)
    return _agreed(scheduled or having)


def _is_of_a_schedule(flag: str) -> bool:
    return sounds_like_a_schedule(flag.rpartition(".")[2])


def _check_whole(command: Command) -> None:
    """Refuse a command of which a word that is not known may hold flags."""
    for word in command.words:
        if isinstance(word, Unknown) and word.many:
            message = f"{word[:100]} may hold flags, and {word.why}"
            raise refused(message, "flags that the script writes", line=command.line)


def _agreed(found: Sequence[tuple[Command, Flags]]) -> Flags:
    """Return the flags of all commands; those in which they differ are not known."""
    first, flags = found[0]
    agreed = Flags(flags)
    for command, other in found[1:]:
        for name in {**agreed, **other}:
            if name in agreed and name in other and agreed[name] == other[name]:
                continue
            shown = other.get(name, agreed.get(name))
            why = f"the commands of lines {first.line} and {command.line} differ in it"
            agreed[name] = Unknown(shown if isinstance(shown, str) else "", why)
    return agreed
