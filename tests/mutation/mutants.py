"""Wrong versions of a module, each wrong in one place.

What is changed: comparisons, `and` and `or` and their operands, `not`, numbers and booleans,
arithmetic, the strictness of a match, and whole statements. Texts are left alone, and so is what a
`raise` or an f-string only shows.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

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
    """One change: where it is, what it makes of what, and the module with it."""

    path: str
    line: int
    scope: str
    before: str
    after: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """What it changes, whatever its line."""
        return f"{self.path}: {self.scope}: {self.before} -> {self.after}"


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of its lines."""
    count = sum(1 for _ in _changes(ast.parse(source)))
    found = []
    for number in range(count):
        # The tree is walked anew for each, so that a mutant has one change and no other.
        tree = ast.parse(source)
        for index, change in enumerate(_changes(tree)):
            if index == number:
                before, after = change.apply()
                ast.fix_missing_locations(tree)
                found.append(Mutant(path, change.line, change.scope, before, after, tree))
                break
    return found


@dataclass(frozen=True)
class _Change:
    line: int
    scope: str
    apply: Callable[[], tuple[str, str]]


def _changes(tree: ast.Module) -> Iterator[_Change]:
    yield from _of_body(tree.body, "module", is_function=False)


def _of_body(body: list[ast.stmt], scope: str, *, is_function: bool) -> Iterator[_Change]:
    for index, statement in enumerate(body):
        if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
            yield from _of_definition(statement, scope)
        elif not isinstance(statement, (ast.Import, ast.ImportFrom)) and not _is_text(statement):
            if is_function and isinstance(statement, _STATEMENTS):
                yield _Change(statement.lineno, scope, _dropping(body, index))
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
                yield from _of_expression(default, definition.lineno, inner)


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
                    yield from _of_expression(child, statement.lineno, scope)


def _of_expression(node: ast.AST, line: int, scope: str) -> Iterator[_Change]:
    if isinstance(node, ast.JoinedStr):
        return
    line = getattr(node, "lineno", line)
    for edit in _edits(node):
        yield _Change(line, scope, _editing(node, edit))
    for child in ast.iter_child_nodes(node):
        yield from _of_expression(child, line, scope)


def _editing(node: ast.AST, edit: Callable[[], None]) -> Callable[[], tuple[str, str]]:
    def apply() -> tuple[str, str]:
        before = ast.unparse(node)
        edit()
        return before, ast.unparse(node)

    return apply


def _edits(node: ast.AST) -> Iterator[Callable[[], None]]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            yield partial(node.ops.__setitem__, index, _COMPARISONS[type(operator)]())
    elif isinstance(node, ast.BoolOp):
        yield partial(setattr, node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for index in range(len(node.values)):
            yield partial(node.values.pop, index)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        # `not not x`: the truth value of x.
        yield partial(setattr, node, "operand", ast.UnaryOp(ast.Not(), node.operand))
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield partial(setattr, node, "op", _ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield partial(setattr, node, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield partial(setattr, node, "value", node.value + 1)
    elif isinstance(node, ast.Attribute) and node.attr in _NAMES:
        yield partial(setattr, node, "attr", _NAMES[node.attr])
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        yield partial(setattr, node, "id", _NAMES[node.id])
    elif isinstance(node, ast.IfExp):
        yield partial(setattr, node, "test", ast.UnaryOp(ast.Not(), node.test))


def _dropping(body: list[ast.stmt], index: int) -> Callable[[], tuple[str, str]]:
    def apply() -> tuple[str, str]:
        before = ast.unparse(body[index]).split("\n")[0]
        body[index] = ast.copy_location(ast.Pass(), body[index])
        return before, "nothing"

    return apply


def _is_text(statement: ast.stmt) -> bool:
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant or (isinstance(statement, ast.AnnAssign) and statement.value is None)
