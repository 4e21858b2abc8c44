"""The file of settings (``.env``) that the commands read."""

import io
import os
from pathlib import Path

from broker.server.exits import StartError


def load_env_file(path: Path | None) -> None:
    """Add the settings of a file to the environment, whose own values take precedence; raise ``StartError``.

    If ``path`` is ``None``, the file is .env in the working directory, and it may be absent.
    """
    if not path and not os.path.lexists(".env"):
        return
    from dotenv import dotenv_values  # noqa: PLC0415  only if there is a file

    name = f"--env-file {path}" if path else ".env"
    try:
        text = (path or Path(".env")).read_text(encoding="utf-8")
        for variable, value in dotenv_values(stream=io.StringIO(text), interpolate=False).items():
            os.environ.setdefault(variable, value or "")
    except OSError as error:
        remedy = "Make it a readable file" if path else "Make it a readable file, or remove it"
        raise StartError(f"{name} cannot be read: {error.strerror}. {remedy}.") from None
    except ValueError:  # not UTF-8, or a name or a value that an environment cannot hold
        raise StartError(f"{name} is not a file of NAME=value lines in UTF-8. Correct it.") from None
