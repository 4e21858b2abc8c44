"""The only import of uvicorn's internals: classes and data that its documentation does not describe.

They may change in any minor version, so the start requires the version that this package was written for.
"""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

__all__ = ["STATUS_LINE", "HttpToolsProtocol", "RequestResponseCycle", "ServerState"]
