"""The text of a plan, for the operator."""

from collections.abc import Iterator, Sequence

from broker.store.admin import Rule
from broker.store.bucket_rules import days_to_abort, days_to_removal, prefix_of

from .change_plan import Change, Kind, Plan


def plan_lines(plan: Plan, *, is_applied: bool) -> list[str]:
    """Return the lines that describe a plan: each bucket, its changes, conflicts and notes, and a summary."""
    lines = []
    for need in plan.needs:
        lines.append(f"bucket {need.bucket} ({need.holds})")
        for change in plan.changes:
            if change.bucket == need.bucket:
                lines += [f"  {line}" for line in _change_lines(change)]
    lines += [f"conflict: {text}" for text in plan.conflicts]
    lines += [f"note: {text}" for text in plan.notes]
    return [*lines, _summary(plan, is_applied=is_applied)]


def _change_lines(change: Change) -> Iterator[str]:
    yield f"{change.kind} rules: {'change' if change.is_needed else 'as they should be'}"
    yield from (f"  - {_described(rule, change.kind)}" for rule in change.removed)
    yield from (f"  + {_described(rule, change.kind)}" for rule in change.added)
    if change.kept:
        yield f"  = {change.kept} of others, kept"


def _described(rule: Rule, kind: Kind) -> str:
    if kind is Kind.CORS:
        return f"permit {_listed(rule['AllowedMethods'])} from {_listed(rule['AllowedOrigins'])}"
    name, prefix = rule.get("ID", ""), prefix_of(rule) or "all keys"
    removal, abort = days_to_removal(rule), days_to_abort(rule)
    effect = f"remove after {removal} days" if removal is not None else f"abort multipart uploads after {abort} days"
    return f"{name}: {prefix}, {effect}"


def _listed(values: Sequence[str]) -> str:
    return ", ".join("".join(character if character.isprintable() else "?" for character in value) for value in values)


def _summary(plan: Plan, *, is_applied: bool) -> str:
    count = len(plan.needed)
    changes = f"{count} change" + ("" if count == 1 else "s")
    if plan.conflicts:
        return f"{changes} needed. Nothing was changed: resolve the conflicts first."
    if not count:
        return "Nothing to change."
    return f"{changes} made and read back." if is_applied else f"{changes} needed. To make them: broker setup --apply"
