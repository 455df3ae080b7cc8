"""
Python files of assignments, as MMEngine's and nanoGPT's: read as literals, never executed.

A value is a literal, ``dict(…)``, a name that was assigned before, one of its members as ``x[0]``,
or an expression of them with ``+``, ``-``, ``*``, ``/`` and ``//``. What would have to be executed
is refused by its line. A name that is imported stands for its path, as ``type=LinearLR`` in newer
files of MMEngine, and for no other value. ``_base_`` is the names of files, which are not read:
what they may set is for the project to ask for; those that ``with read_base()`` imports are too.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any, Final

from rheostat.converters.configs.documents.refusals import OtherSyntaxError, refused
from rheostat.converters.request import MAX_DEPTH, MAX_TEXT, MAX_VALUES
from rheostat.errors import Invalid
from rheostat.schedules.size_limits import LARGEST_INTEGER

_FILE: Final = "a configuration file"
"""What the parser calls what it reads."""
_BOUND: Final = "assignments of literals, of dict(…), and of names that were assigned before"
_READ_BASE: Final = "read_base"
"""What marks the imports of base files."""
_BASES: Final = "_base_"
"""The name under which a file has the names of those that it is based on."""
_OPERATORS: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
# an odd escape, as "\d", is of no interest to anybody here
warnings.filterwarnings("ignore", module=f"^{_FILE}$")


def read_python(text: str) -> dict[str, Any]:
    """Return what the names of a file are assigned in the end."""
    try:
        tree = ast.parse(text, _FILE)
    except SyntaxError as error:
        raise OtherSyntaxError(f"line {error.lineno}: {error.msg}") from None
    except (ValueError, MemoryError, RecursionError) as error:  # the parser's limits of nesting
        raise OtherSyntaxError(str(error) or "nested too deep") from None
    reader = _Reader()
    for statement in tree.body:
        reader.take(statement)
    return reader.assigned()


class Imported(str):
    """The path of something that is imported: of a class, or of a value that is not known."""

    __slots__ = ()


class _Reader:
    """Reads assignments one after the other."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.unassigned: set[str] = set()
        """Names of modules and classes that are imported."""
        self.count = 0

    def take(self, statement: ast.stmt) -> None:
        """Take an assignment or an import; a docstring says nothing."""
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self.imported(statement)
            return
        if isinstance(statement, ast.With) and _is_read_base(statement):
            for inner in statement.body:
                self.based(inner)
            return
        if isinstance(statement, ast.Expr):
            if isinstance(statement.value, ast.Constant):
                return
            # --lr 1 is an expression too
            raise OtherSyntaxError(f"line {statement.lineno}: no assignment of a value")
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets: list[ast.expr] = [statement.target]
            given = statement.value
        elif isinstance(statement, ast.Assign):
            targets, given = statement.targets, statement.value
        else:
            raise _executed(statement, "is no assignment of a value")
        for target in targets:
            if not isinstance(target, ast.Name):
                raise _executed(statement, "assigns to a part of something")
        value = self.value(given, 1)
        found = {target.id: value for target in targets if isinstance(target, ast.Name)}
        self.unassigned -= found.keys()
        self.names |= found

    def assigned(self) -> dict[str, Any]:
        """Return what is assigned; of imports, values that a base file may have, and no classes."""
        return {
            name: value
            for name, value in self.names.items()
            if not (isinstance(value, Imported) and name in self.unassigned)
        }

    def imported(self, statement: ast.Import | ast.ImportFrom) -> None:
        """Take names for the paths that they are imported from."""
        within = ""
        if isinstance(statement, ast.ImportFrom):
            within = f"{'.' * statement.level}{statement.module or ''}."
        for alias in statement.names:
            if alias.name == "*":
                message = "imports names that are not in this file"
                raise _executed(statement, message)
            path = f"{within}{alias.name}"
            if not within and alias.asname is None:  # import a.b makes the name a
                path = path.partition(".")[0]
            name = alias.asname or path.rpartition(".")[2]
            self.names[name] = Imported(_bounded(path, statement))
            if not within or name[:1].isupper() or name == _READ_BASE:  # a module, or a class
                self.unassigned.add(name)

    def based(self, statement: ast.stmt) -> None:
        """Take the import of a base file, whose names are not known; before them none may be."""
        if not isinstance(statement, ast.ImportFrom):
            raise _executed(statement, "is no import of a base file")
        values = self.names.items()
        known = [k for k, v in values if k != _BASES and not isinstance(v, Imported)]
        if known:
            name = known[0][:100]
            message = f"comes late: {name} may be assigned again there, where it is not read"
            raise _executed(statement, message)
        bases = self.names.setdefault(_BASES, [])
        bases.append(_bounded(f"{'.' * statement.level}{statement.module or ''}", statement))

    def value(self, node: ast.expr, depth: int) -> Any:
        """Return the value of an expression."""
        if depth > MAX_DEPTH:
            raise refused("is nested too deep", f"≤ {MAX_DEPTH} levels", line=node.lineno)
        self.spend(1)
        match node:
            case ast.Constant(value=None | bool() | int() | float() | str()):
                return _bounded(node.value, node)
            case ast.Name() | ast.Subscript() | ast.Attribute():
                return self.named(node, depth)
            case ast.List(elts=nodes) | ast.Tuple(elts=nodes):
                return self.items(nodes, depth)
            case ast.Dict():
                return self.members(node, self.pairs(node, depth))
            case ast.Call(func=ast.Name(id="dict")):
                return self.members(node, self.arguments(node, depth))
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return self.signed(node, depth)
            case ast.BinOp():
                return self.computed(node, depth)
            case ast.JoinedStr():
                return self.text(node, depth)
            case _:
                raise _executed(node, "has to be executed")

    def spend(self, count: int) -> None:
        self.count += count
        if self.count > MAX_VALUES:
            raise refused("has too many values", f"≤ {MAX_VALUES} values")

    def named(self, node: ast.Name | ast.Subscript | ast.Attribute, depth: int) -> Any:
        """Return the value of a name, or the member at a place of a list or a key of an object."""
        if isinstance(node, ast.Attribute):
            return self.attribute(node, depth)
        if isinstance(node, ast.Name):
            if node.id not in self.names:
                raise _executed(node, f"{node.id[:100]} is not assigned before")
            return self.names[node.id]
        holder, place = self.value(node.value, depth + 1), self.value(node.slice, depth + 1)
        listed = isinstance(holder, list) and type(place) is int
        if not listed and not (isinstance(holder, dict) and isinstance(place, str)):
            raise _executed(node, "has to be executed")
        try:
            return holder[place]
        except LookupError:
            raise _executed(node, f"{place!r:.100} is no member") from None

    def attribute(self, node: ast.Attribute, depth: int) -> Imported:
        """Return the path of a part of a module that is imported."""
        holder = self.value(node.value, depth + 1)
        if not isinstance(holder, Imported):
            raise _executed(node, "has to be executed")
        return Imported(_bounded(f"{holder}.{node.attr}", node))

    def items(self, nodes: Iterable[ast.expr], depth: int) -> list[Any]:
        found = []
        for node in nodes:
            value = self.value(node.value if isinstance(node, ast.Starred) else node, depth + 1)
            if not isinstance(node, ast.Starred):
                found.append(value)
            elif isinstance(value, list):
                self.spend(len(value))
                found += value
            else:
                raise _executed(node, "* is of no list")
        return found

    def pairs(self, node: ast.Dict, depth: int) -> Iterable[tuple[str | None, Any]]:
        """Yield the keys and values of ``{…}``; the key of ``**`` is None."""
        for key, value in zip(node.keys, node.values, strict=True):
            name = None if key is None else self.value(key, depth + 1)
            if key is not None and not isinstance(name, (str, int, float)):
                raise refused("a key is no text", "keys that are text", line=key.lineno)
            yield None if name is None else str(name), self.value(value, depth + 1)

    def arguments(self, node: ast.Call, depth: int) -> Iterable[tuple[str | None, Any]]:
        """Yield the keys and values of ``dict(…)``, with those of what has two stars."""
        for argument in node.args:
            yield None, self.value(argument, depth + 1)
        for keyword in node.keywords:
            value = self.value(keyword.value, depth + 1)
            if keyword.arg is None and isinstance(value, dict):
                yield from value.items()
            else:
                yield keyword.arg, value

    def members(self, node: ast.expr, pairs: Iterable[tuple[str | None, Any]]) -> dict[str, Any]:
        """Return an object; the later of two keys counts where one of them is unpacked."""
        found: dict[str, Any] = {}
        written = set()
        for name, value in pairs:
            if name is None:
                if not isinstance(value, dict):
                    raise _executed(node, "has to be executed")
                self.spend(len(value))
                found |= value
            elif name in written:
                message = f"has the key {name[:100]} twice"
                raise refused(message, "one of them", name, line=node.lineno)
            else:
                written.add(name)
                found[name] = value
        return found

    def signed(self, node: ast.UnaryOp, depth: int) -> Any:
        value = self.value(node.operand, depth + 1)
        if not _is_number(value):
            raise _executed(node, "has to be executed")
        return -value if isinstance(node.op, ast.USub) else value

    def computed(self, node: ast.BinOp, depth: int) -> Any:
        """Return the sum and the like of two numbers, or two texts as one."""
        left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
        operation = _OPERATORS.get(type(node.op))
        numbers = _is_number(left) and _is_number(right)
        texts = _is_text(left) and _is_text(right) and isinstance(node.op, ast.Add)
        if operation is None or not (numbers or texts):
            raise _executed(node, "has to be executed")
        try:
            return _bounded(operation(left, right), node)
        except ArithmeticError as error:
            raise refused(str(error), "a finite number", line=node.lineno) from None

    def text(self, node: ast.JoinedStr, depth: int) -> str:
        """Return an f-string of names and text, without formats."""
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                plain = part.conversion == -1 and part.format_spec is None
                value = self.value(part.value, depth + 1) if plain else None
                if not _is_text(value) and not isinstance(value, int):
                    raise _executed(node, "has to be executed")
            else:
                value = self.value(part, depth + 1)
            parts.append(str(value))
        return str(_bounded("".join(parts), node))


def _is_read_base(statement: ast.With) -> bool:
    """Return whether a block is of the imports of base files, as MMEngine marks them."""
    calls = [item.context_expr for item in statement.items]
    return [ast.unparse(call) for call in calls] == [f"{_READ_BASE}()"]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Imported)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _bounded(value: Any, node: ast.expr | ast.stmt) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise refused("is too long a text", f"≤ {MAX_TEXT} characters", line=node.lineno)
    if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
        raise refused("is too large a number", "a finite float64", line=node.lineno)
    if isinstance(value, float) and not isfinite(value):
        raise refused("is no finite number", "a finite number", line=node.lineno)
    return value


def _executed(node: ast.stmt | ast.expr, message: str) -> Invalid:
    return refused(f"{message}, and nothing in a file is executed", _BOUND, line=node.lineno)
