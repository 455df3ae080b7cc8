"""The reference says what the commands say."""

from __future__ import annotations

from pathlib import Path

from rheostat.cli import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_current() -> None:
    """`docs/cli.md` is what `python -m rheostat.cli.reference docs/cli.md` writes now."""
    assert reference.reference() == (DOCS / "cli.md").read_text()


def test_every_command_says_what_it_does() -> None:
    """No command, argument or option is without a sentence."""
    from typer.main import get_command

    from rheostat.cli.app import complete

    commands = [get_command(complete())]
    while commands:
        command = commands.pop()
        assert command.help, command.name
        assert all(getattr(parameter, "help", "") for parameter in command.params), command.name
        commands += getattr(command, "commands", {}).values()
