"""Checks of the settings. They send nothing."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from broker.settings import Settings
from broker.settings.endpoint import parts_of_endpoint
from broker.store.dialect import dialect_of

from .findings import Finding, Hint, failed, passed, warned

ADMIN_VARIABLE: Final = "R2_ADMIN_SECRET_ACCESS_KEY"
"""The variable of the admin key, which only ``broker setup`` needs."""

_NAMES: Final[Mapping[str, tuple[str, Hint]]] = MappingProxyType(
    {
        "BROKER_SECRET": ("secret-derived", Hint.SECRET),
        "R2_PUBLIC_URL": ("public-bucket-staged", Hint.PUBLIC),
        "R2_ENDPOINT": ("endpoint-unusual", Hint.STORE_ADDRESS),
    }
)
"""The name and the hint of a warning, by the setting with which its text begins."""

_CHECKED_ELSEWHERE: Final = ("UPLOAD_LIFETIME", "no store is configured")
"""Beginnings of the texts of warnings whose subject another check examines."""


def faults_found(faults: Sequence[str]) -> list[Finding]:
    """Return a finding for each fault that prevents the start."""
    remedy = "Correct the setting; the service does not start with it."
    return [failed("setting-wrong", fault, remedy, Hint.SETTINGS) for fault in faults]


def check_settings(settings: Settings, *, has_admin_key: bool) -> list[Finding]:
    """Return the findings about valid settings; ``has_admin_key``: the environment of the service has the admin key."""
    found = [passed("settings", "the settings are valid")]
    found += [_warning(text) for text in settings.warnings if not text.startswith(_CHECKED_ELSEWHERE)]
    if has_admin_key:
        text = f"{ADMIN_VARIABLE} is in the environment of the service"
        found.append(warned("admin-key", text, "Remove it: only broker setup needs it.", Hint.ADMIN_KEY))
    if settings.store is None:
        remedy = f"Set {', '.join(settings.missing)}."
        return [*found, failed("store-not-configured", "no store is configured", remedy, Hint.SETTINGS)]
    return [*found, passed("endpoint", f"the endpoint is that of {_kind(settings.store.endpoint)}")]


def _warning(text: str) -> Finding:
    subject = text.split(maxsplit=1)[0]
    name, hint = _NAMES.get(subject, ("setting-unusual", Hint.SETTINGS))
    sentence, _, remedy = text.partition(": ")
    return warned(name, sentence, remedy[:1].upper() + remedy[1:], hint)


def _kind(endpoint: str) -> str:
    parts = parts_of_endpoint(endpoint)
    return f"Cloudflare R2, jurisdiction {parts.jurisdiction}" if parts else dialect_of(endpoint).name
