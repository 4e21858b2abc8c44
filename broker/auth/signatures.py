"""Signature checks: a verification key bound to each of its algorithms. Of PyJWT only these algorithms are used."""

from collections.abc import Callable, Mapping

import jwt
from cryptography.exceptions import UnsupportedAlgorithm

from broker.crypto.verification_key import VerificationKey

SignatureCheck = Callable[[bytes, bytes], bool]
"""Whether a message has a signature, under one key and one algorithm."""

SignatureChecks = Mapping[str, SignatureCheck]
"""A check for each algorithm of one key."""

# What a check may raise for a signature it cannot read: PyJWT's own tree, what slips through it from base64, integers
# and cryptography (ValueError, TypeError), and a hash or curve that this OpenSSL is built without.
LIBRARY_ERRORS = (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm)


def signature_checks(key: VerificationKey) -> SignatureChecks:
    """A check for each algorithm of the key. The key is prepared once: that costs more than an HMAC does."""
    known = jwt.PyJWS(algorithms=key.algorithms)

    def bind(name: str) -> SignatureCheck:
        algorithm = known.get_algorithm_by_name(name)
        prepared = algorithm.prepare_key(key.material)
        return lambda message, signature: algorithm.verify(message, prepared, signature)

    return {name: bind(name) for name in key.algorithms}
