"""Sign-in by an identity provider, over the wire: a provider of our own that answers rightly, and wrongly in every way that matters (safety.md §6, 25 to 27)."""
import base64
import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwk, jwt

from dashboard import oidc
from queries import accounts, connect
from tests.browser.conftest import served
from tests.conftest import TINY, cloned
from tests.gate.test_gate import Site

CLIENT, SECRET = "desk", "the client's secret"


class Provider:
    """An OpenID provider on loopback that approves everybody; `mode` says what is wrong with its tokens."""

    def __init__(self):
        self.keys, self.other = [jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})], jwk.RSAKey.generate_key(2048, {"kid": "one"})
        self.mode, self.subject, self.codes, self.down = "", "person-1", {}, False
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                provider.answer(self, dict((k, v[0]) for k, v in parse_qs(urlsplit(self.path).query).items()))

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                provider.answer(self, dict((k, v[0]) for k, v in parse_qs(body).items()))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request, asked):
        path = urlsplit(request.path).path
        if self.down:
            request.send_error(503)
        elif path == "/.well-known/openid-configuration":
            self.send(request, {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token",
                                "jwks_uri": f"{self.issuer}/keys"})
        elif path == "/keys":
            self.send(request, {"keys": [one.as_dict(private=False) for one in self.keys]})
        elif path == "/authorize":
            assert asked["code_challenge_method"] == "S256" and asked["response_type"] == "code" and "openid" in asked["scope"]
            code = base64.urlsafe_b64encode(hashlib.sha256(asked["state"].encode()).digest()).decode()
            self.codes[code] = asked
            request.send_response(302)
            request.send_header("location", f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")
            request.end_headers()
        elif path == "/token":
            was = self.codes.pop(asked.get("code"), None)
            challenge = base64.urlsafe_b64encode(hashlib.sha256(asked.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
            if was is None or challenge != was["code_challenge"] or self.mode == "code refused":
                self.send(request, {"error": "invalid_grant"}, 400)
            else:
                self.send(request, {"access_token": "a", "token_type": "Bearer", "expires_in": 60} | ({} if self.mode == "no token" else {"id_token": self.token(was["nonce"])}))

    def token(self, nonce):
        now, key, header = int(time.time()), self.keys[-1], {"alg": "RS256", "kid": self.keys[-1].kid}
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": self.subject, "iat": now, "exp": now + 300, "nonce": nonce}
        claims |= {"expired": {"exp": now - 120}, "issuer": {"iss": "https://evil.example"}, "audience": {"aud": "another"}, "nonce": {"nonce": "another"},
                   "azp": {"aud": [CLIENT, "another"], "azp": "another"}, "future": {"iat": now + 3600}}.get(self.mode, {})
        if self.mode.startswith("without "):
            del claims[self.mode.split()[1]]
        if self.mode == "alg none":
            parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in ({"alg": "none"}, claims)]
            return ".".join([*parts, ""])
        if self.mode == "shared secret":                     # signed with the public key as if it were a secret
            signed = ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in ({"alg": "HS256", "kid": key.kid}, claims))
            return f"{signed}.{base64.urlsafe_b64encode(hmac.digest(key.as_pem(private=False), signed.encode(), 'sha256')).rstrip(b'=').decode()}"
        if self.mode == "another key":
            key = self.other
        raw = jwt.encode(header, claims, key)
        if self.mode == "tampered":
            head, _, tail = raw.split(".")
            raw = ".".join([head, base64.urlsafe_b64encode(json.dumps(claims | {"sub": "boss"}).encode()).rstrip(b"=").decode(), tail])
        return raw

    @staticmethod
    def send(request, what, status=200):
        body = json.dumps(what).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


class Visitor:
    """One browser: it keeps the cookie of its attempt."""

    def __init__(self, site, provider):
        self.site, self.provider, self.flow = site, provider, None

    def leave(self, to="/review"):
        answer = self.site.ask(f"/sign-in/oidc?{urlencode({'next': to})}")
        assert answer.status == 303
        self.flow = answer.cookies.get("flow")
        return answer.headers["location"]

    def approve(self, address):
        """What the provider answers: the way back, as path and query."""
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *args):
                return None
        try:
            urllib.request.build_opener(Stay).open(address, timeout=5)
        except urllib.error.HTTPError as answer:
            parts = urlsplit(answer.headers["location"])
            return f"{parts.path}?{parts.query}"
        raise AssertionError("the provider did not send anybody back")

    def come_back(self, path, flow=None):
        return self.site.ask(path, cookies={"flow": flow or self.flow or ""})

    def sign_in(self, to="/review"):
        return self.come_back(self.approve(self.leave(to)))


@pytest.fixture(scope="module")
def provider():
    made = Provider()
    yield made
    made.server.shutdown()


@pytest.fixture(scope="module")
def site(server, banks, folder, provider):
    with cloned(server, banks(TINY)) as url, served(url, folder, DASHBOARD_OIDC_ISSUER=provider.issuer, DASHBOARD_OIDC_CLIENT_ID=CLIENT,
                                                 DASHBOARD_OIDC_CLIENT_SECRET=SECRET, DASHBOARD_OIDC_NAME="统一身份", DASHBOARD_PUBLIC_URL="http://127.0.0.1:{port}") as address:
        site = Site(address, url, folder)
        connect.as_owner(url, accounts.add, login="person", name="某人", role="leader")
        connect.as_owner(url, accounts.identify, login="person", issuer=provider.issuer, subject="person-1")
        yield site


@pytest.fixture
def visitor(site, provider):
    provider.mode, provider.subject, provider.down = "", "person-1", False
    yield Visitor(site, provider)
    provider.mode, provider.subject, provider.down = "", "person-1", False


def why(site):
    """The reason of the newest failure in the audit."""
    return site.sql("select params ->> 'why' from audit where act = 'sign_in_failed' order by audit_id desc limit 1")[0][0]


def test_who_is_known_gets_the_same_session_as_by_a_password(site, visitor):
    page = site.ask("/sign-in").text
    assert "用统一身份登录" in page or "Sign in with 统一身份" in page
    answer = visitor.sign_in("/limits?period=month")
    assert answer.status == 303 and answer.headers["location"] == "/limits?period=month" and site.lets_in(answer.cookies["sid"])
    assert site.sql("select how from session order by session_id desc limit 1")[0][0] == "oidc"
    site.form("/sign-out", cookies={"sid": answer.cookies["sid"]})
    assert not site.lets_in(answer.cookies["sid"]), "a copied cookie is worth nothing after signing out"


def test_the_role_is_the_databases_and_a_disabled_account_is_out_at_once(site, visitor):
    token = visitor.sign_in().cookies["sid"]
    assert site.sql("select role from app_user where login = 'person'")[0][0] == "leader"
    connect.as_owner(site.url, accounts.enable, login="person", active=False)
    assert not site.lets_in(token)
    assert "said=no_account" in visitor.sign_in().headers["location"]
    connect.as_owner(site.url, accounts.enable, login="person", active=True)


@pytest.mark.parametrize(("mode", "reason"), [
    ("expired", "exp"), ("issuer", "iss"), ("audience", "aud"), ("nonce", "nonce"), ("azp", "azp"), ("future", "iat"), ("alg none", "signature"),
    ("shared secret", "signature"), ("another key", "signature"), ("tampered", "signature"), ("no token", "signature"), ("code refused", "code"),
    ("without exp", "exp"), ("without nonce", "nonce"), ("without aud", "aud"), ("without sub", "sub"), ("without iss", "iss")])
def test_an_answer_that_is_not_right_leads_back_to_the_sign_in_page(site, visitor, mode, reason):
    visitor.provider.mode = mode
    answer = visitor.sign_in()
    assert answer.status == 303 and "said=not_believed" in answer.headers["location"] and "sid" not in answer.cookies
    assert why(site) == reason
    assert site.ask(answer.headers["location"]).status == 200


def test_a_callback_works_once_and_in_its_own_browser(site, visitor):
    path = visitor.approve(visitor.leave())
    for flow in ("made-up", visitor.flow[::-1], ""):
        refused = visitor.come_back(path, flow or " ")
        assert "said=again" in refused.headers["location"] and "sid" not in refused.cookies
    answer = visitor.come_back(path)
    assert "sid" in answer.cookies
    again = visitor.come_back(path)
    assert "said=again" in again.headers["location"] and "sid" not in again.cookies and why(site) == "attempt"
    other = Visitor(site, visitor.provider)
    other.leave()
    mine = visitor.approve(visitor.leave())
    assert "sid" not in other.come_back(mine).cookies, "somebody else's callback in this browser"
    state = mine.split("state=")[1]
    assert "sid" not in visitor.come_back(mine.replace(state, "made-up")).cookies


def test_an_attempt_runs_out(site, visitor):
    path = visitor.approve(visitor.leave())
    site.sql("update sign_in_attempt set ends_at = clock_timestamp() - interval '1 second'")
    assert "said=again" in visitor.come_back(path).headers["location"]


def test_a_person_without_an_account_is_refused_and_none_is_made(site, visitor):
    visitor.provider.subject = "stranger"
    before = site.sql("select count(*) from app_user")[0][0]
    answer = visitor.sign_in()
    assert "said=no_account" in answer.headers["location"] and "sid" not in answer.cookies
    assert site.sql("select count(*) from app_user")[0][0] == before
    assert not site.sql("select 1 from audit where params::text like '%stranger%'"), "what they are called there is not kept"


def test_another_providers_subject_of_the_same_name_is_nobody(site, visitor):
    site.sql("update federated_identity set issuer = 'https://other.example' where subject = 'person-1'")
    assert "said=no_account" in visitor.sign_in().headers["location"]
    site.sql("update federated_identity set issuer = :i where subject = 'person-1'", i=visitor.provider.issuer)
    assert "sid" in visitor.sign_in().cookies


def test_changed_keys_are_read_anew(site, visitor):
    visitor.provider.keys.append(jwk.RSAKey.generate_key(2048, {"kid": "two", "use": "sig"}))
    assert "sid" in visitor.sign_in().cookies


def test_a_provider_that_is_down_is_said_and_passwords_still_work(site, visitor):
    path = visitor.approve(visitor.leave())
    visitor.provider.down = True
    answer = visitor.come_back(path)
    assert "said=away" in answer.headers["location"]
    page = site.ask(answer.headers["location"]).text
    assert "role=\"alert\"" in page and "name=\"password\"" in page
    away = oidc.Provider("http://127.0.0.1:9", CLIENT, SECRET, "x", "http://x/back")
    with pytest.raises(oidc.Away):
        away.begin("s" * 40, "n", "v" * 43)
    assert site.lets_in(site.account("by.password"))


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_led_elsewhere(visitor, to):
    assert visitor.sign_in(to).headers["location"] == "/"


def test_a_cancelled_sign_in_is_said(site, visitor):
    path = visitor.approve(visitor.leave())
    state = path.split("state=")[1]
    answer = visitor.come_back(f"/sign-in/oidc/back?error=access_denied&state={state}")
    assert "said=cancelled" in answer.headers["location"]


def test_linking_is_an_administrators_act_and_leaves_its_trace(site, provider):
    with pytest.raises(ValueError):
        connect.as_owner(site.url, accounts.identify, login="person", issuer=provider.issuer, subject="person-1")
    with pytest.raises(LookupError):
        connect.as_owner(site.url, accounts.identify, login="nobody", issuer=provider.issuer, subject="person-9")
    connect.as_owner(site.url, accounts.add, login="linked", name="某人", role="leader")
    connect.as_owner(site.url, accounts.identify, login="linked", issuer=provider.issuer, subject="person-2")
    visitor = Visitor(site, provider)
    provider.subject = "person-2"
    token = visitor.sign_in().cookies["sid"]
    assert site.lets_in(token) and connect.as_owner(site.url, accounts.forget_identities, login="linked") == 1
    assert not site.lets_in(token)
    assert {row[0] for row in site.sql("select act from audit where params ->> 'login' = 'linked'")} >= {"identity_linked", "identity_unlinked"}
    provider.subject = "person-1"
