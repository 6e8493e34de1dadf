"""Wrong versions of a module, each wrong in one place.

What is changed: comparisons, `and` and `or` and their operands, `not`, numbers and booleans,
arithmetic, the strictness of a match, and whole statements. Texts are left alone, and so is what a
`raise` or an f-string only shows.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

# Characters of an expression that is shown around what a mutant changes.
CONTEXT_MAX = 60
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_NAMES = {
    "fullmatch": "match",
    "startswith": "endswith",
    "endswith": "startswith",
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "partition": "rpartition",
    "rpartition": "partition",
}
_STATEMENTS = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Return, ast.Continue, ast.Break)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, and what it makes of what."""

    path: str
    number: int  # of the changes of its module
    lines: tuple[int, int]  # what a test runs of it: from its statement to its end
    line: int
    scope: str
    before: str
    after: str

    @property
    def name(self) -> str:
        """What it changes, whatever its line."""
        return f"{self.path}: {self.scope}: {self.before} -> {self.after}"

    def tree(self, source: str) -> ast.Module:
        """Return the module with the change, from its source as it was."""
        tree = ast.parse(source)
        next(islice(_changes(tree), self.number, None)).apply()
        return ast.fix_missing_locations(tree)


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of its lines."""
    return [
        Mutant(path, number, change.lines, change.line, change.scope, *change.words())
        for number, change in enumerate(_changes(ast.parse(source)))
    ]


@dataclass(frozen=True)
class _Change:
    lines: tuple[int, int]
    line: int
    scope: str
    words: Callable[[], tuple[str, str]]
    apply: Callable[[], None]


def _changes(tree: ast.Module) -> Iterator[_Change]:
    pointless = set(_pointless(tree))
    for change in _of_body(tree.body, "module", is_function=False):
        if change.lines[0] not in pointless:
            yield change


def _of_body(body: list[ast.stmt], scope: str, *, is_function: bool) -> Iterator[_Change]:
    for index, statement in enumerate(body):
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            yield from _of_definition(statement, scope)
        elif not isinstance(statement, (ast.Import, ast.ImportFrom)) and not _is_text(statement):
            if is_function and isinstance(statement, _STATEMENTS):
                yield _dropping(body, index, scope)
            if not isinstance(statement, ast.Raise):  # the rest of that is words
                yield from _of_parts(statement, scope, is_function=is_function)


def _of_definition(
    definition: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, scope: str
) -> Iterator[_Change]:
    inner = definition.name if scope == "module" else f"{scope}.{definition.name}"
    is_function = isinstance(definition, _FUNCTIONS)
    yield from _of_body(definition.body, inner, is_function=is_function)
    if isinstance(definition, _FUNCTIONS):
        for default in (*definition.args.defaults, *definition.args.kw_defaults):
            if default is not None:
                yield from _of_expression(default, definition, inner)


def _pointless(tree: ast.Module) -> Iterator[int]:
    """Yield the lines of statements that could as well be missing, and are there to be read.

    They are a `return` of nothing where a function ends, and a `continue` where a round of a loop
    does.
    """
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            yield from _tails(node.body, ("return", "return None"))
        elif isinstance(node, (ast.For, ast.While)):
            yield from _tails(node.body, ("continue",))


def _tails(body: list[ast.stmt], words: tuple[str, ...]) -> Iterator[int]:
    last = body[-1] if body else None
    if isinstance(last, (ast.Return, ast.Continue)) and ast.unparse(last) in words:
        yield last.lineno
    elif isinstance(last, (ast.If, ast.With)):
        yield from _tails(last.body, words)
        yield from _tails(getattr(last, "orelse", []), words)
    elif isinstance(last, ast.Try):
        for branch in (last.orelse or last.body, *(each.body for each in last.handlers)):
            yield from _tails(branch, words)


def _of_parts(statement: ast.stmt, scope: str, *, is_function: bool) -> Iterator[_Change]:
    for name, value in ast.iter_fields(statement):
        if name in ("body", "orelse", "finalbody") and isinstance(value, list):
            yield from _of_body(value, scope, is_function=is_function)
        elif name == "handlers":
            for handler in value:
                yield from _of_body(handler.body, scope, is_function=is_function)
        elif name != "annotation":
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _of_expression(child, statement, scope)


def _of_expression(
    node: ast.AST, statement: ast.stmt, scope: str, parent: ast.AST | None = None
) -> Iterator[_Change]:
    if isinstance(node, ast.JoinedStr):
        return
    line = getattr(node, "lineno", statement.lineno)
    lines = (statement.lineno, getattr(node, "end_lineno", line))
    # A number or a name alone does not say which of several it is; a long table says too much.
    alone = isinstance(node, (ast.Constant, ast.Name))
    context = parent if alone and parent and len(ast.unparse(parent)) <= CONTEXT_MAX else node
    for edit in _edits(node):
        words = partial(_words, context, node, edit)
        yield _Change(lines, line, scope, words, partial(edit, node))
    for child in ast.iter_child_nodes(node):
        yield from _of_expression(child, statement, scope, node)


def _words(context: ast.AST, node: ast.AST, edit: Callable[[ast.AST], None]) -> tuple[str, str]:
    copies: dict[int, ast.AST] = {}
    after = deepcopy(context, copies)
    edit(copies[id(node)])
    return ast.unparse(context), ast.unparse(after)


def _edits(node: ast.AST) -> Iterator[Callable[[Any], None]]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            yield partial(_replace, "ops", index, _COMPARISONS[type(operator)]())
    elif isinstance(node, ast.BoolOp):
        yield partial(_set, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for index in range(len(node.values)):
            yield partial(_leave_out, index)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        # `not not x`: the truth value of x.
        yield lambda it: setattr(it, "operand", ast.UnaryOp(ast.Not(), it.operand))
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield partial(_set, "op", _ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield partial(_set, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield partial(_set, "value", node.value + 1)
    elif isinstance(node, ast.Attribute) and node.attr in _NAMES:
        yield partial(_set, "attr", _NAMES[node.attr])
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        yield partial(_set, "id", _NAMES[node.id])
    elif isinstance(node, ast.IfExp):
        yield lambda it: setattr(it, "test", ast.UnaryOp(ast.Not(), it.test))


def _set(attribute: str, value: object, node: ast.AST) -> None:
    setattr(node, attribute, value)


def _replace(attribute: str, index: int, value: object, node: ast.AST) -> None:
    getattr(node, attribute)[index] = value


def _leave_out(index: int, node: ast.BoolOp) -> None:
    del node.values[index]
    if len(node.values) == 1:  # Python compiles none of one value
        node.values.insert(0, ast.Constant(isinstance(node.op, ast.And)))


def _dropping(body: list[ast.stmt], index: int, scope: str) -> _Change:
    statement = body[index]

    def words() -> tuple[str, str]:
        return ast.unparse(statement).split("\n")[0], "nothing"

    def apply() -> None:
        body[index] = ast.copy_location(ast.Pass(), statement)

    lines = (statement.lineno, statement.end_lineno or statement.lineno)
    return _Change(lines, statement.lineno, scope, words, apply)


def _is_text(statement: ast.stmt) -> bool:
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant or (isinstance(statement, ast.AnnAssign) and statement.value is None)
