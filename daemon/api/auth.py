"""Who may ask what: bearer tokens, stored as hashes, with scopes that contain each other."""

import hashlib
import hmac
from collections.abc import Sequence

from aiohttp import web

from daemon.announcing import ALONE
from daemon.tokens import ApiToken, Scope

PUBLIC = ("/healthz", "/readyz")
"""What a probe without a secret may ask; neither answers with a figure."""

CALLER: web.RequestKey[str] = web.RequestKey("caller", str)


def needed(request: web.Request) -> Scope:
    return Scope.READ if request.method in ("GET", "HEAD") else Scope.OPERATE


def _includes(scope: Scope, other: Scope) -> bool:
    """Scopes stand in rising order, each includes the ones before it."""
    order = list(Scope)
    return order.index(scope) >= order.index(other)


class Gatekeeper:
    """Checks a request's token. Without tokens everybody on the loopback interface may ask (settings see to that)."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._tokens = tokens

    def admit(self, request: web.Request) -> str:
        """The caller's name; raises HTTPUnauthorized or HTTPForbidden."""
        if not self._tokens:
            _same_origin(request)
            return ALONE
        digest = hashlib.sha256(_presented(request).encode()).hexdigest()
        for token in self._tokens:
            if hmac.compare_digest(digest, token.sha256.lower()):
                request[CALLER] = token.name  # a refusal tells the audit log whose it is
                if not _includes(token.scope, needed(request)):
                    raise web.HTTPForbidden(text=f"the token {token.name} lacks the scope {needed(request).value}")
                return token.name
        raise web.HTTPUnauthorized(text="this token is not known", headers={"WWW-Authenticate": "Bearer"})


def _presented(request: web.Request) -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise web.HTTPUnauthorized(text="expected a bearer token", headers={"WWW-Authenticate": "Bearer"})
    return text.strip()


def _same_origin(request: web.Request) -> None:
    """Keeps a web page that an operator happens to have open from pressing buttons here."""
    origin = request.headers.get("Origin")
    if origin is not None and request.method not in ("GET", "HEAD") and origin.split("://")[-1] != request.host:
        raise web.HTTPForbidden(text="a page from another origin may not do this")
