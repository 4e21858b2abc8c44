"""Mutual TLS between the services of SeaweedFS.

The master, the volume server and the filer have no passwords: without TLS, every program that reaches their ports could
read and write all data, and so could a web page, because it reaches loopback. All of them, and their clients, use one
self-signed certificate and trust no other.
"""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from . import private_files

_CERTIFICATE: Final = "inner.crt"
_KEY: Final = "inner.key"
_SERVERS: Final = ("master", "volume", "filer")
_SECTIONS: Final = (
    "grpc",
    *(f"grpc.{name}" for name in (*_SERVERS, "s3", "client")),
    *(f"https.{name}" for name in (*_SERVERS, "client")),
)


def configure(folder: Path, host: str) -> ssl.SSLContext:
    """Write security.toml and a new certificate for a SeaweedFS that starts in ``folder``; return a client's context.

    Raises ``OSError`` if a file cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, host)
    private_files.write(folder / _KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private_files.write(folder / _CERTIFICATE, certificate.public_bytes(Encoding.PEM))
    private_files.write(folder / "security.toml", _settings().encode())
    return client_context(folder)


def client_context(folder: Path) -> ssl.SSLContext:
    """Return the TLS context of a client of the SeaweedFS that runs in ``folder``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / _CERTIFICATE)
    context.load_cert_chain(folder / _CERTIFICATE, folder / _KEY)
    return context


def _certificate(key: ec.EllipticCurvePrivateKey, host: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "SeaweedFS of broker demo")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))  # longer than a demo runs
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _settings() -> str:
    """Return the text of security.toml. SeaweedFS ignores a file with errors, without a message, and uses no TLS."""
    lines = [f'ca = "{_CERTIFICATE}"', f'cert = "{_CERTIFICATE}"', f'key = "{_KEY}"', "enabled = true"]
    return "".join("\n".join([f"[{section}]", *lines, ""]) for section in _SECTIONS)
