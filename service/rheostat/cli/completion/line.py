"""The words of a command line that somebody is still typing."""

from __future__ import annotations


def split(line: str) -> tuple[list[str], str]:
    """
    Return the words of a line as a shell would read them, the last one apart.

    The last one may be empty, or an unfinished piece in quotes.

    >>> split("rheostat run sh")
    (['rheostat', 'run'], 'sh')
    >>> split("rheostat run ")
    (['rheostat', 'run'], '')
    """
    words: list[str] = []
    word, quote, began = "", "", False
    letters = iter(line)
    for letter in letters:
        if quote:
            if letter == quote:
                quote = ""
            elif letter == "\\" and quote == '"':
                word += next(letters, "")
            else:
                word += letter
        elif letter.isspace():
            if began:
                words.append(word)
            word, began = "", False
            continue
        elif letter in "'\"":
            quote = letter
        else:
            word += next(letters, "") if letter == "\\" else letter
        began = True
    return words, word
