"""The scripts by which bash, zsh and fish ask what completes a line, and where they are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rheostat.cli.completion import VARIABLE

BASH = """\
_rheostat_completion() {
    local mode answer
    answer=$(@VARIABLE@=bash COMP_WORDBREAKS="$COMP_WORDBREAKS" "$1" \\
        "${COMP_LINE:0:COMP_POINT}" 2>/dev/null </dev/null) || return
    mode=${answer%%$'\\n'*}
    COMPREPLY=()
    case $mode in
        files) compopt -o default ;;
        open) compopt -o nospace ;;
    esac
    [[ $answer == *$'\\n'* ]] && mapfile -t COMPREPLY <<<"${answer#*$'\\n'}"
    return 0
}
complete -F _rheostat_completion rheostat
"""
ZSH = """\
#compdef rheostat
_rheostat() {
    local -a lines words_ shown
    local line answer
    answer=$(@VARIABLE@=zsh ${(Q)words[1]} "${(@Q)words[1,CURRENT]}" 2>/dev/null </dev/null)
    lines=("${(@f)answer}")
    case $lines[1] in
        files) compset -P '*@'; _files; return ;;
        words|open) ;;
        *) return 1 ;;
    esac
    for line in "${(@)lines[2,-1]}"; do
        [[ -n $line ]] || continue
        words_+=("${line%%$'\\t'*}")
        shown+=("${${line/$'\\t'/  -- }%  -- }")
    done
    if [[ $lines[1] == open ]]; then
        compadd -S '' -l -d shown -a words_
    else
        compadd -l -d shown -a words_
    fi
}
compdef _rheostat rheostat
"""
FISH = """\
function __rheostat_complete
    set -l before (commandline -opc)
    set -l word (commandline -ct)
    set -lx @VARIABLE@ fish
    set -l lines ($before[1] $before "$word" 2>/dev/null </dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$word"
        case '*'
            printf '%s\\n' $lines[2..-1]
    end
end
complete --command rheostat --no-files --arguments '(__rheostat_complete)'
"""


class Shell(NamedTuple):
    """How one shell completes: its script, where that is kept, and what makes the shell read it."""

    script: str
    path: str
    """Below the home directory."""
    start: str | None
    """The file that the shell reads as it starts, and what must stand there."""
    lines: str


SHELLS: Mapping[str, Shell] = {
    "bash": Shell(
        BASH,
        ".bash_completions/rheostat.sh",
        ".bashrc",
        "source ~/.bash_completions/rheostat.sh",
    ),
    "zsh": Shell(
        ZSH, ".zfunc/_rheostat", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"
    ),
    "fish": Shell(FISH, ".config/fish/completions/rheostat.fish", None, ""),
}


def script(shell: str) -> str:
    """Return what a shell reads to complete the words of `rheostat`."""
    return SHELLS[shell].script.replace("@VARIABLE@", VARIABLE)


def install(shell: str) -> Path:
    """Write the script of a shell where that finds it; return where."""
    chosen = SHELLS[shell]
    path = Path.home() / chosen.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script(shell), encoding="utf-8")
    if chosen.start is not None:
        start = Path.home() / chosen.start
        text = start.read_text(encoding="utf-8") if start.is_file() else ""
        if chosen.lines not in text:
            separator = "" if not text or text.endswith("\n") else "\n"
            with start.open("a", encoding="utf-8") as file:
                file.write(f"{separator}{chosen.lines}\n")
    return path


def running() -> str | None:
    """Return the shell that this was started from, if it is one of these."""
    try:
        parent = Path(f"/proc/{os.getppid()}/comm").read_text(encoding="utf-8").strip().lstrip("-")
    except OSError:
        parent = ""
    usual = Path(os.environ.get("SHELL", "")).name
    return next((name for name in (parent, usual) if name in SHELLS), None)
