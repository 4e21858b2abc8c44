"""SeaweedFS closed from inside: its services talk only to each other, by mutual TLS.

They have no passwords: a program that reaches the master, the volume server or the filer can read and write everything,
and a web page reaches loopback. One certificate that trusts itself alone is both the servers' and the clients'.
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

from . import private

_CERTIFICATE: Final = "inner.crt"
_KEY: Final = "inner.key"
_SERVERS: Final = ("master", "volume", "filer")
_SECTIONS: Final = (
    "grpc",
    *(f"grpc.{name}" for name in (*_SERVERS, "s3", "client")),
    *(f"https.{name}" for name in (*_SERVERS, "client")),
)


def close(folder: Path, host: str) -> ssl.SSLContext:
    """Write the settings and a new certificate for a server that starts in ``folder``; returns the way in."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, host)
    private.write(folder / _KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.write(folder / _CERTIFICATE, certificate.public_bytes(Encoding.PEM))
    private.write(folder / "security.toml", _settings().encode())
    return way_in(folder)


def way_in(folder: Path) -> ssl.SSLContext:
    """A client's context with the certificate of the server that runs in ``folder``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / _CERTIFICATE)
    context.load_cert_chain(folder / _CERTIFICATE, folder / _KEY)
    return context


def _certificate(key: ec.EllipticCurvePrivateKey, host: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the inside of a demo's store")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))  # as long as a demo may run
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _settings() -> str:
    """The text of security.toml. SeaweedFS passes over a faulty file in silence, and is then open to everybody."""
    lines = [f'ca = "{_CERTIFICATE}"', f'cert = "{_CERTIFICATE}"', f'key = "{_KEY}"', "enabled = true"]
    return "".join("\n".join([f"[{section}]", *lines, ""]) for section in _SECTIONS)
