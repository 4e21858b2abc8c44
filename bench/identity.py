"""An identity service: a JWKS file, and tokens of its key."""

import json
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm


class Identity:
    """An identity service with one ES256 key, whose JWKS is a file in ``folder``."""

    name = "jwks.json"

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        (folder / self.name).write_text(json.dumps({"keys": [{**public, "kid": "1", "alg": "ES256", "use": "sig"}]}))

    def tokens(self, count: int) -> list[str]:
        """Return one token for each of ``count`` users, valid for a day."""
        until = int(time.time()) + 86_400
        return [
            jwt.encode({"sub": f"user-{number}", "exp": until}, self._key, algorithm="ES256", headers={"kid": "1"})
            for number in range(count)
        ]
