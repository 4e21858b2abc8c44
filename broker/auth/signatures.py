"""Signature checks: a verification key bound to each of its algorithms, which are those of PyJWT."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NoReturn

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from broker.crypto.verification_key import VerificationKey
from broker.errors import UnauthenticatedError

SignatureCheck = Callable[[bytes, bytes], bool]
"""Return whether a signature (second argument) of a message (first argument) verifies by one key and algorithm."""

SignatureChecks = Mapping[str, SignatureCheck]
"""The checks of one key, by the name of the algorithm (``alg``)."""

LIBRARY_ERRORS = (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm)
"""The errors that a check may raise for a malformed signature.

PyJWT raises its own errors and passes on ``ValueError`` and ``TypeError`` of base64, integers and cryptography. A hash
or curve that this OpenSSL is built without raises ``UnsupportedAlgorithm``.
"""


def signature_checks(key: VerificationKey) -> SignatureChecks:
    """Return a check for each algorithm of the key. The key is prepared once, which costs more than an HMAC."""
    jws = jwt.PyJWS(algorithms=key.algorithms)

    def bind(name: str) -> SignatureCheck:
        algorithm = jws.get_algorithm_by_name(name)
        prepared = algorithm.prepare_key(key.material)
        return lambda message, signature: algorithm.verify(message, prepared, signature)

    return {name: bind(name) for name in key.algorithms}


def table_checks(table: Mapping[str, VerificationKey | None]) -> SignatureChecks:
    """Return a check for each algorithm of ``table``. The one for an algorithm without a key refuses the token."""
    return {
        name: signature_checks(replace(key, algorithms=(name,)))[name] if key else _refuse
        for name, key in table.items()
    }


def _refuse(_message: bytes, _signature: bytes) -> NoReturn:
    raise UnauthenticatedError("several keys fit the token")
