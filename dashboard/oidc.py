"""Sign-in by an identity provider: OpenID Connect, authorization code with PKCE (RFC 7636). What comes of it is (issuer, subject), nothing else:
which account that is, and its role, is the database's to say. The session is the same as after a password: server-side, to be ended at any time.
"""
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urlencode

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]       # never none, never a shared secret
TIMEOUT, KEPT, LEEWAY = 5, 600, 60          # seconds: for an answer; of the provider's document; between two clocks


class Refused(Exception):
    """The provider's answer is not believed; the message is a code for the audit."""


class Away(Exception):
    """The provider does not answer, or not with what OpenID Connect asks for."""


@dataclass
class Provider:
    """One provider. `begin` gives the address to send the browser to; `finish` says who came back."""

    issuer: str
    client_id: str
    client_secret: str
    name: str
    back: str                               # our address that the provider sends people to

    _document: dict | None = None
    _keys: KeySet | None = None
    _read_at: float = 0.0

    def begin(self, state: str, nonce: str, verifier: str) -> str:
        """The provider's address for this attempt. Raises Away."""
        address, _ = self._client().create_authorization_url(self._say("authorization_endpoint"), state=state, nonce=nonce, code_verifier=verifier)
        return address

    def finish(self, code: str, verifier: str, nonce: str) -> tuple[str, str]:
        """(issuer, subject) of who signed in. Raises Refused, Away."""
        endpoint = self._say("token_endpoint")
        try:
            token = self._client().fetch_token(endpoint, code=code, code_verifier=verifier, timeout=TIMEOUT)
        except (requests.RequestException, ValueError) as error:
            raise Away("token") from error
        except AuthlibBaseError as error:
            raise Refused("code") from error
        return self._believe(token.get("id_token") or "", nonce)

    def _believe(self, raw: str, nonce: str) -> tuple[str, str]:
        claims = None
        for fresh in (False, True):         # a key that is not known yet: the provider has changed its keys, once
            try:
                claims = jwt.decode(raw, self._key_set(fresh), algorithms=ALGORITHMS).claims
                break
            except (JoseError, ValueError) as error:
                if fresh:
                    raise Refused("signature") from error
        wanted = jwt.JWTClaimsRegistry(leeway=LEEWAY, iss={"essential": True, "value": self.issuer}, aud={"essential": True, "value": self.client_id},
                                       exp={"essential": True}, iat={"essential": True}, sub={"essential": True}, nonce={"essential": True, "value": nonce})
        try:
            wanted.validate(claims)
        except JoseError as error:
            raise Refused(str(getattr(error, "claim", None) or error.error)) from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self.client_id:
            raise Refused("azp")
        return self.issuer, str(claims["sub"])

    def _client(self) -> OAuth2Session:
        return OAuth2Session(self.client_id, self.client_secret, scope="openid", redirect_uri=self.back, code_challenge_method="S256")

    def _say(self, what: str) -> str:
        if self._document is None or monotonic() - self._read_at > KEPT:
            document = _get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if document.get("issuer") != self.issuer:
                raise Away("issuer")
            self._document, self._keys, self._read_at = document, None, monotonic()
        try:
            return self._document[what]
        except KeyError:
            raise Away(what) from None

    def _key_set(self, fresh: bool) -> KeySet:
        if self._keys is None or fresh:
            self._keys = KeySet.import_key_set(_get(self._say("jwks_uri")))
        return self._keys


def _get(address: str) -> dict:
    try:
        answer = requests.get(address, timeout=TIMEOUT, allow_redirects=False)
        answer.raise_for_status()
        found = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise Away(address) from error
    if not isinstance(found, dict):
        raise Away(address)
    return found


def error_address(key: str, to: str) -> str:
    """Our sign-in page with a sentence about what went wrong."""
    return f"/sign-in?{urlencode({'said': key, 'next': to})}"
