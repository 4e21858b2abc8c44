"""The only door to uvicorn's internals: classes and data that its documentation does not describe.

They may change in any minor version, so the installed one must be the version that they were read in.
"""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

__all__ = ["STATUS_LINE", "HttpToolsProtocol", "RequestResponseCycle", "ServerState"]
