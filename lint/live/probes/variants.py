"""Which other rows a policy could treat differently: both booleans, named values, NULL, patterns.

A policy such as `is_public OR tenant_id = …` leaks only rows that are public; one synthetic row with
the default would never show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import expressions as exp

from lint.live.probes.solve import bare, demanded, parsed, text_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Table
    from lint.live.probes.solve import Wishes
    from lint.live.probes.structure import Relation

_MOST: Final = 6


def variants(table: Table, tenant: str, relation: Relation) -> list[dict[str, str | None]]:
    """Column values, beyond the plain row's, that conditions of the table's policies name."""
    found: list[dict[str, str | None]] = []
    for policy in table.policies:
        for _, text in policy.clauses():
            tree = parsed(text)
            for atom in _atoms(tree) if tree is not None else ():
                for variant in _values(atom, tenant, relation):
                    if variant not in found:
                        found.append(variant)
    return found[:_MOST]


def preferred(table: Table, tenant: str) -> Wishes:
    """What the policies ask of other columns than the tenant's, beside it: `… AND deleted_at IS NULL`."""
    asked = [
        atom
        for policy in table.policies
        for _, text in policy.clauses()
        if (tree := parsed(text)) is not None and isinstance(tree, exp.And)
        for atom in _conjuncts(tree)
    ]
    return {column: wish for column, wish in demanded(asked).items() if column != tenant}


def _conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    node = bare(node)
    if isinstance(node, exp.And):
        yield from _conjuncts(node.this)
        yield from _conjuncts(node.expression)
    elif not isinstance(node, exp.Or):
        yield node


def named_tenants(table: Table, tenant: str, relation: Relation) -> list[str]:
    """Tenants that conditions of the table's policies name, and for a text tenant the empty one."""
    found: list[str] = []
    for policy in table.policies:
        for _, text in policy.clauses():
            tree = parsed(text)
            for atom in _atoms(tree) if tree is not None else ():
                wish = demanded([atom]).get(tenant)
                found += [one for one in (wish.choices if wish else ()) if one is not None]
    if relation.columns[tenant].base in {"text", "varchar", "citext"}:
        found.append("")
    return sorted(set(found))[:_MOST]


def _atoms(node: exp.Expr) -> Iterator[exp.Expr]:
    node = bare(node)
    if isinstance(node, (exp.And, exp.Or)):
        yield from _atoms(node.this)
        yield from _atoms(node.expression)
    elif isinstance(node, exp.Case):
        for branch in node.args.get("ifs") or ():
            yield from _atoms(branch.this)
            yield from _atoms(branch.args["true"])
    else:
        yield node


def _values(atom: exp.Expr, tenant: str, relation: Relation) -> Iterator[dict[str, str | None]]:
    for column, wish in demanded([atom]).items():
        known = relation.columns.get(column)
        if known is None or column == tenant or not known.writable:
            continue
        if known.base == "bool":
            yield {column: "true"}
            yield {column: "false"}
        elif wish.null is not None and not known.required:
            yield {column: None} if wish.null else {}
        elif wish.choices:
            yield {column: wish.choices[0]}
        elif wish.patterns:
            yield {column: text_for(wish, "")}
