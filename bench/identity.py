"""An identity service: a published key, and tokens by it."""

import json
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm


class Identity:
    """One ES256 key, whose public half stands in a file of ``folder``."""

    name = "jwks.json"

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        (folder / self.name).write_text(json.dumps({"keys": [{**public, "kid": "1", "alg": "ES256", "use": "sig"}]}))

    def tokens(self, count: int) -> list[str]:
        """One for each of so many users, good for a day."""
        until = int(time.time()) + 86_400
        return [
            jwt.encode({"sub": f"user-{number}", "exp": until}, self._key, algorithm="ES256", headers={"kid": "1"})
            for number in range(count)
        ]
