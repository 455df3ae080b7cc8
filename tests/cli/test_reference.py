"""The reference says what the commands say."""

from __future__ import annotations

from pathlib import Path

from rheostat.cli import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_current() -> None:
    """`docs/cli.md` is what `python -m rheostat.cli.reference docs/cli.md` writes now."""
    assert reference.reference() == (DOCS / "cli.md").read_text(), "`make docs` writes it"


def test_every_command_says_what_it_does() -> None:
    """No command, argument or option is without a sentence."""
    from typer.main import get_command

    from rheostat.cli.app import complete

    commands = [get_command(complete())]
    while commands:
        command = commands.pop()
        assert command.help, command.name
        unexplained = [each.name for each in command.params if not getattr(each, "help", "")]
        assert not unexplained, f"{unexplained} of {command.name} have no help"
        commands += getattr(command, "commands", {}).values()
