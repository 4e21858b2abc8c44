"""The rules in the forms of other tools: wrangler's commands, Terraform's resources, and JSON of Cloudflare's API.

Sources: developers.cloudflare.com/api/resources/r2 (the JSON, which wrangler reads too), and the resources
cloudflare_r2_bucket_cors and cloudflare_r2_bucket_lifecycle of the Terraform provider, version 5.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from broker.core.upload_rules import DAY
from broker.store.admin import Rule
from broker.store.bucket_rules import days_to_abort, days_to_removal, prefix_of

from .desired_rules import BucketNeeds

WARNING: Final = (
    "Warning: this replaces ALL CORS and lifecycle rules of the buckets, also those of others. Compare first:"
)
"""What wrangler and the API do with existing rules; Terraform does the same."""

_CORS_ID: Final = "r2-upload-broker"


def wrangler(needs: Sequence[BucketNeeds], _account: str, jurisdiction: str) -> str:
    """Return a shell script that writes the files and calls wrangler 4."""
    option = f" -J {jurisdiction}" if jurisdiction else ""
    lines = ["#!/bin/sh", f"# {WARNING}"]
    lines += [
        f"#   npx wrangler r2 bucket {kind} list {need.bucket}{option}" for need in needs for kind in _rules(need)
    ]
    lines.append("set -e")
    for need in needs:
        for kind, rules in _rules(need).items():
            file = f"{need.bucket}.{kind}.json"
            document = json.dumps({"rules": rules}, indent=2)
            lines += [f"cat > {file} <<'END'", document, "END"]
            lines.append(f"npx wrangler r2 bucket {kind} set {need.bucket} --file {file}{option}")
    return "\n".join([*lines, ""])


def terraform(needs: Sequence[BucketNeeds], account: str, jurisdiction: str) -> str:
    """Return the resources of Terraform's provider ``cloudflare``, version 5."""
    lines = [f"# {WARNING} terraform plan"]
    for need in needs:
        for kind, rules in _rules(need).items():
            arguments: dict[str, Any] = {"account_id": account or "<account-id>", "bucket_name": need.bucket}
            if jurisdiction:
                arguments["jurisdiction"] = jurisdiction
            arguments["rules"] = [_snake_case(rule) for rule in rules]
            name = need.bucket.replace("-", "_") if need.bucket[0].isalpha() else "b_" + need.bucket.replace("-", "_")
            lines += ["", f'resource "cloudflare_r2_bucket_{kind}" "{name}" {{']
            lines += [f"  {key} = {_hcl(value, 1)}" for key, value in arguments.items()]
            lines.append("}")
    return "\n".join([*lines, ""])


def as_json(needs: Sequence[BucketNeeds], account: str, jurisdiction: str) -> str:
    """Return one JSON document with the request bodies of Cloudflare's API for each bucket."""
    buckets = {need.bucket: {kind: {"rules": rules} for kind, rules in _rules(need).items()} for need in needs}
    document = {"account": account or None, "jurisdiction": jurisdiction or "default", "buckets": buckets}
    return json.dumps(document, indent=2) + "\n"


FORMATS: Final[Mapping[str, Callable[[Sequence[BucketNeeds], str, str], str]]] = MappingProxyType(
    {"wrangler": wrangler, "terraform": terraform, "json": as_json}
)
"""The function of each format of ``broker setup --print``: of the needs, the account ID and the jurisdiction."""


def _rules(need: BucketNeeds) -> dict[str, list[dict[str, Any]]]:
    """Return the rules in the form of Cloudflare's API; without CORS rules there is no entry for them."""
    found = {"cors": [_cors(rule) for rule in need.cors], "lifecycle": [_lifecycle(rule) for rule in need.lifecycle]}
    return {kind: rules for kind, rules in found.items() if rules}


def _cors(rule: Rule) -> dict[str, Any]:
    return {
        "id": _CORS_ID,
        "allowed": {
            "origins": rule["AllowedOrigins"],
            "methods": rule["AllowedMethods"],
            "headers": rule["AllowedHeaders"],
        },
        "exposeHeaders": rule["ExposeHeaders"],
        "maxAgeSeconds": rule["MaxAgeSeconds"],
    }


def _lifecycle(rule: Rule) -> dict[str, Any]:
    removal, abort = days_to_removal(rule), days_to_abort(rule)
    name = "abortMultipartUploadsTransition" if removal is None else "deleteObjectsTransition"
    age = {"condition": {"type": "Age", "maxAge": (removal or abort or 0) * DAY}}
    return {"id": rule["ID"], "enabled": True, "conditions": {"prefix": prefix_of(rule)}, name: age}


def _snake_case(value: Any) -> Any:
    """Return a value of the API's JSON with the names of Terraform."""
    if not isinstance(value, Mapping):
        return value
    return {
        "".join(f"_{char.lower()}" if char.isupper() else char for char in name): _snake_case(inner)
        for name, inner in value.items()
    }


def _hcl(value: Any, depth: int) -> str:
    """Return a value in HCL, whose strings are those of JSON here: no value has a template."""
    pad, end = "  " * (depth + 1), "  " * depth
    if isinstance(value, Mapping):
        inner = "\n".join(f"{pad}{name} = {_hcl(item, depth + 1)}" for name, item in value.items())
        return f"{{\n{inner}\n{end}}}"
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        inner = "\n".join(f"{pad}{_hcl(item, depth + 1)}," for item in value)
        return f"[\n{inner}\n{end}]"
    return json.dumps(value)
