"""Signature checks by public keys: each key is bound to its algorithms, which are those of PyJWT."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from broker.crypto.verification_key import VerificationKey
from broker.errors import UnauthenticatedError

from .signatures import SignatureCheck, SignatureChecks

_LIBRARY_ERRORS = (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm)
"""The errors that PyJWT may raise for a malformed signature.

PyJWT raises its own errors and passes on ``ValueError`` and ``TypeError`` of base64, integers and cryptography. A hash
or curve that this OpenSSL is built without raises ``UnsupportedAlgorithm``.
"""


def public_key_checks(key: VerificationKey) -> SignatureChecks:
    """Return a check for each algorithm of a public key. The key is prepared once."""
    jws = jwt.PyJWS(algorithms=key.algorithms)

    def bind(name: str) -> SignatureCheck:
        algorithm = jws.get_algorithm_by_name(name)
        prepared = algorithm.prepare_key(key.material)

        def check(message: bytes, signature: bytes) -> bool:
            try:
                return algorithm.verify(message, prepared, signature)
            except _LIBRARY_ERRORS:
                return False

        return check

    return {name: bind(name) for name in key.algorithms}


def table_checks(table: Mapping[str, VerificationKey | None]) -> SignatureChecks:
    """Return a check for each algorithm of ``table``. The one for an algorithm without a key refuses the token."""
    return {
        name: public_key_checks(replace(key, algorithms=(name,)))[name] if key else _refuse
        for name, key in table.items()
    }


def _refuse(_message: bytes, _signature: bytes) -> NoReturn:
    raise UnauthenticatedError("several keys fit the token")
