"""The configuration of a broker process, read once from the environment."""

from .configuration import Settings, StoreSettings, from_environment, parse
from .environment import SettingsError
from .metrics_ports import MetricsSettings
from .token_rules import JwksLocation, TokenRules
from .trusted_proxies import TrustedProxies

__all__ = [
    "JwksLocation",
    "MetricsSettings",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "TokenRules",
    "TrustedProxies",
    "from_environment",
    "parse",
]
