"""The plan of a setup: what each bucket has, what it needs, and the changes in between. It sends nothing.

Rules of this module
- A rule is the broker's by its ID (lifecycle), or by its header fields and methods (CORS rules of R2 have no ID). All
  other rules are kept as they are.
- A lifecycle rule of the broker that keeps objects longer than needed stays as it is.
- A rule of somebody else that contradicts the broker's is a conflict: it is named, and the plan must not be applied.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from broker.core.object_keys import READY_PREFIX, STAGING_PREFIX
from broker.store.admin import Rule
from broker.store.bucket_rules import (
    METHODS,
    STAGED_RULE,
    UNFINISHED_RULE,
    UPLOAD_HEADERS,
    days_to_abort,
    days_to_removal,
    is_enabled,
    prefix_of,
)

from .desired_rules import BucketNeeds

_OUR_IDS: Final = frozenset({STAGED_RULE, UNFINISHED_RULE})


class Kind(StrEnum):
    """The two kinds of rules of a bucket."""

    CORS = "CORS"
    LIFECYCLE = "lifecycle"


@dataclass(frozen=True, slots=True)
class Change:
    """The rules of one kind that one bucket has, and those that it will have. ``kept`` are not the broker's."""

    bucket: str
    kind: Kind
    before: Sequence[Rule]
    after: Sequence[Rule]
    kept: int

    @property
    def is_needed(self) -> bool:
        """Whether anything changes."""
        return not are_equal(self.before, self.after)

    @property
    def added(self) -> list[Rule]:
        """The rules that the bucket does not have yet."""
        return _missing(self.after, self.before)

    @property
    def removed(self) -> list[Rule]:
        """The rules that the bucket will not have any more."""
        return _missing(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of a setup. With ``conflicts`` it must not be applied; ``notes`` are for the operator to read."""

    needs: Sequence[BucketNeeds]
    changes: Sequence[Change]
    conflicts: Sequence[str]
    notes: Sequence[str]

    @property
    def needed(self) -> list[Change]:
        """The changes that change anything."""
        return [change for change in self.changes if change.is_needed]


Read = Callable[[str, Kind], Sequence[Rule]]
"""Returns the rules of a bucket."""


def make_plan(needs: Sequence[BucketNeeds], read: Read) -> Plan:
    """Return the plan for buckets whose existing rules ``read`` returns."""
    changes: list[Change] = []
    conflicts: list[str] = []
    notes: list[str] = []
    for need in needs:
        cors, lifecycle = read(need.bucket, Kind.CORS), read(need.bucket, Kind.LIFECYCLE)
        changes += [_cors_change(need, cors), _lifecycle_change(need, lifecycle)]
        for rule in filter(is_enabled, _foreign(lifecycle, _is_our_lifecycle)):
            conflicts += _conflicts(need, rule)
            notes += _notes(need, rule)
        if not need.cors:
            notes.append(f"{need.bucket}: BROKER_CORS_ORIGINS is unset, so no page can use the bucket")
    return Plan(needs, changes, conflicts, notes)


def are_equal(first: Sequence[Rule], second: Sequence[Rule]) -> bool:
    """Return whether two lists have the same rules, in the forms in which stores return them."""
    return sorted(map(repr, map(_normal, first))) == sorted(map(repr, map(_normal, second)))


def _cors_change(need: BucketNeeds, existing: Sequence[Rule]) -> Change:
    kept = _foreign(existing, _is_our_cors)
    return Change(need.bucket, Kind.CORS, existing, [*need.cors, *kept], len(kept))


def _lifecycle_change(need: BucketNeeds, existing: Sequence[Rule]) -> Change:
    kept = _foreign(existing, _is_our_lifecycle)
    ours = {rule["ID"]: rule for rule in existing if _is_our_lifecycle(rule)}
    wanted = [_longer(rule, ours.get(rule["ID"])) for rule in need.lifecycle]
    return Change(need.bucket, Kind.LIFECYCLE, existing, [*wanted, *kept], len(kept))


def _longer(wanted: Rule, existing: Rule | None) -> Rule:
    """Return the existing rule if it does what is wanted, at the same time or later."""
    if existing is None or not is_enabled(existing) or prefix_of(existing) != prefix_of(wanted):
        return wanted
    is_same_effect = (days_to_removal(existing) is None) is (days_to_removal(wanted) is None)
    return existing if is_same_effect and _days(existing) >= _days(wanted) else wanted


def _days(rule: Rule) -> int:
    return days_to_removal(rule) or days_to_abort(rule) or 0


def _is_our_cors(rule: Rule) -> bool:
    headers = {str(name).lower() for name in rule.get("AllowedHeaders", ())}
    return headers == set(UPLOAD_HEADERS) and set(rule["AllowedMethods"]) <= set(METHODS)


def _is_our_lifecycle(rule: Rule) -> bool:
    return rule.get("ID") in _OUR_IDS


def _foreign(rules: Sequence[Rule], is_ours: Callable[[Rule], bool]) -> list[Rule]:
    return [rule for rule in rules if not is_ours(rule)]


def _missing(rules: Sequence[Rule], others: Sequence[Rule]) -> list[Rule]:
    known = list(map(_normal, others))
    return [rule for rule in rules if _normal(rule) not in known]


def _conflicts(need: BucketNeeds, rule: Rule) -> list[str]:
    """Return what an enabled rule of somebody else does to staged objects and multipart uploads too early."""
    name, found = f"{need.bucket}: the lifecycle rule {rule.get('ID', '')!r}", []
    least = max(map(_days, need.lifecycle))
    removal, abort = days_to_removal(rule), days_to_abort(rule)
    if removal is not None and removal < least and _overlaps(rule, STAGING_PREFIX) and _holds_staged(need):
        found.append(f"{name} removes staged objects after {removal} days, and tombstones must stay {least}: remove it")
    if abort is not None and abort < least:
        found.append(f"{name} aborts multipart uploads after {abort} days, and they may take {least}: remove it")
    return found


def _notes(need: BucketNeeds, rule: Rule) -> list[str]:
    expires = rule.get("Expiration", {}).keys() & {"Days", "Date"}
    if not expires or not _overlaps(rule, READY_PREFIX) or need.holds == "staged objects":
        return []
    return [f"{need.bucket}: the lifecycle rule {rule.get('ID', '')!r} removes ready objects"]


def _holds_staged(need: BucketNeeds) -> bool:
    return need.holds != "ready objects"


def _overlaps(rule: Rule, prefix: str) -> bool:
    other = prefix_of(rule)
    return prefix.startswith(other) or other.startswith(prefix)


def _normal(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule in one form: empty members are left out, names of header fields in lower case, lists sorted."""
    found: dict[str, Any] = {}
    for name, value in rule.items():
        if name in ("Filter", "Prefix"):
            found["Prefix"] = prefix_of(rule)
        elif isinstance(value, list | tuple):
            found[name] = sorted(str(item).lower() if "Headers" in name else str(item) for item in value)
        elif value not in ({}, ""):
            found[name] = dict(sorted(value.items())) if isinstance(value, Mapping) else value
    return {name: value for name, value in sorted(found.items()) if value not in ([], "")}
