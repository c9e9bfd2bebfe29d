"""The way in and out: sign in, choose a role of the demo, set the first password by a link, change it, sign out.

Plain HTML forms from the server, without a script: they work in every browser and nothing in them can be run. Each form
carries the value of a cookie that no other site can read (double submit), and the gate refuses a POST from another origin.
"""
from collections.abc import Awaitable, Callable
from functools import lru_cache, wraps
from hmac import compare_digest
from html import escape
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import parse_qs, urlencode, urlsplit

from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard import oidc, session, words
from dashboard.gate import COOKIE, PROXIED
from dashboard.settings import settings
from dashboard.words import t
from queries import accounts

CSRF, FLOW = "csrf", "flow"
SAID = ("away", "again", "cancelled", "not_believed", "no_account")      # what a failed sign-in elsewhere may say on the page
ICON = (Path(__file__).parent / "icon.svg").read_text("utf-8").replace("<svg ", '<svg width="28" height="28" aria-hidden="true" ', 1)
STYLE = """
:root{color-scheme:light dark;--ink:#0E141A;--dim:#5A6671;--line:#DDE2E7;--field:#7A8691;--back:#F4F6F8;--card:#FFF;--blue:#1F5F8B;--red:#B42722;--pink:#FCEBEA}
@media(prefers-color-scheme:dark){:root{--ink:#E4E9EE;--dim:#A3AEB9;--line:#333C46;--field:#8C98A4;--back:#14181D;--card:#1D232A;--blue:#7DB7E0;--red:#FF8A82;--pink:#3A1F20}}
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px 16px;background:var(--back);color:var(--ink);
font:15px/1.6 'PingFang SC','Microsoft YaHei','Noto Sans SC','Noto Sans CJK SC',system-ui,sans-serif}
main{width:100%;max-width:400px;background:var(--card);border:1px solid var(--line);border-radius:4px;padding:28px}
header{display:flex;align-items:center;gap:10px;margin-bottom:20px}header b{font-size:17px;flex:1}h1{font-size:20px;font-weight:600;margin:0 0 16px}
h2{font-size:15px;font-weight:600;margin:26px 0 4px}p{margin:0 0 12px}label{display:block;margin-bottom:14px}.dim{color:var(--dim);font-size:14px}
input{display:block;width:100%;margin-top:4px;padding:9px 10px;font:inherit;color:inherit;background:var(--card);border:1px solid var(--field);border-radius:4px}
button{font:inherit;cursor:pointer;border-radius:4px;padding:9px 14px}.main{width:100%;background:#1F5F8B;border:1px solid #1F5F8B;color:#FFF;font-weight:600}
.other{display:block;text-align:center;border:1px solid var(--field);border-radius:4px;padding:9px 14px;text-decoration:none;font-weight:600}
.role{width:100%;text-align:left;background:none;border:0;border-top:1px solid var(--line);border-radius:0;color:inherit;padding:9px 4px;display:flex;gap:12px}
.role span{margin-left:auto;color:var(--dim)}.role:hover,.role:focus-visible{color:var(--blue)}a{color:var(--blue)}
:focus-visible{outline:2px solid var(--blue);outline-offset:2px}.wrong{background:var(--pink);color:var(--red);padding:9px 12px;border-radius:4px}"""


def _language(request: Request) -> str:
    asked = [request.query_params.get("lang", ""), settings().language]
    asked += [one.split(";")[0].strip().split("-")[0].lower() for one in request.headers.get("accept-language", "").split(",")]
    return next((code for code in asked if code in words.LANGUAGES), words.DEFAULT)


def local(address: str) -> str:
    """An address within this product, or its start: never one that leads to another site."""
    parts = urlsplit(address)
    fine = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return address if fine and address.isprintable() and "\\" not in address else "/"


def _page(request: Request, title: str, body: str, status: int = 200) -> HTMLResponse:
    """The frame of every page here; ``body`` is HTML whose texts are escaped. The form's token comes with it."""
    code = words.language()
    other = "en" if code == "zh" else "zh"
    here = f"{request.url.path}?{urlencode({**request.query_params, 'lang': other})}"
    token = request.cookies.get(CSRF) or token_urlsafe(24)
    page = HTMLResponse(
        f'<!doctype html><html lang="{"zh-CN" if code == "zh" else "en"}"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><meta name="robots" content="noindex"><title>{escape(title)} · {escape(t("app.name"))}</title>'
        f'<style>{STYLE}</style></head><body><main><header>{ICON}<b>{escape(t("app.name"))}</b>'
        f'<a href="{escape(here)}" lang="{other}">{"EN" if other == "en" else "中"}</a></header><h1>{escape(title)}</h1>'
        f'{body.replace("<form ", "<form method=post ").replace("</form>", f"<input type=hidden name={CSRF} value={escape(token)}></form>")}</main></body></html>',
        status, {"cache-control": "no-store"})
    _cookie(request, page, CSRF, token)
    return page


def _cookie(request: Request, answer: Response, name: str, value: str, lasts: int | None = None) -> None:
    # Lax: a link in a mail leads into the desk, not to the sign-in page. A foreign page's WebSocket and POST carry no
    # Lax cookie either, and the gate refuses both by their origin.
    answer.set_cookie(name, value, max_age=lasts, httponly=True, samesite="lax", secure=request.url.scheme == "https")


def _input(name: str, label: str, kind: str = "text", complete: str = "off", more: str = "") -> str:
    return f'<label>{escape(t(label))}<input name="{name}" type="{kind}" autocomplete="{complete}" required {more}></label>'


def _wrong(key: str | None, **values: object) -> str:
    return f'<p class="wrong" role="alert">{escape(t(key, **values))}</p>' if key else ""


def _send(key: str) -> str:
    return f'<button class="main">{escape(t(key))}</button>'


Handler = Callable[[Request, dict[str, str]], Awaitable[Response]]


def form(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A handler with the fields of a POST whose token was checked ({} for GET), speaking the reader's language."""
    @wraps(handler)
    async def answer(request: Request) -> Response:
        fields: dict[str, str] = {}
        with words.speaking(_language(request)):
            try:
                if request.method == "POST":
                    body = await request.body()
                    fields = {name: values[0] for name, values in parse_qs(body[:10_000].decode("utf-8", "replace"), keep_blank_values=True).items()}
                    if not compare_digest(request.cookies.get(CSRF, "-"), fields.pop(CSRF, "")):
                        return _page(request, t("sign_in.title"), _wrong("sign_in.again") + _back(), 403)
                return await handler(request, fields)
            except OperationalError:
                return _page(request, t("sign_in.title"), _wrong("error.database") + _back(), 503)
    return answer


def _back() -> str:
    return f'<p><a href="/sign-in">{escape(t("sign_in.to"))}</a></p>'


async def _in(request: Request, user_id: int, how: str, to: str) -> Response:
    """A new session, and on to where the reader wanted to go. A session that this browser had ends."""
    urls, s = session.urls(), settings()
    old = request.cookies.get(COOKIE)
    if old:
        await run_in_threadpool(accounts.end, urls, old, "new")
    token = await run_in_threadpool(lambda: accounts.begin(urls, user_id, how, _from(request), idle=s.idle, lasting=s.lasting))
    answer = RedirectResponse(local(to), 303)
    _cookie(request, answer, COOKIE, token, int(s.lasting.total_seconds()))
    return answer


def _from(request: Request) -> str:
    return request.client.host if request.client else ""


@form
async def sign_in(request: Request, fields: dict[str, str]) -> Response:
    """Name and password; where only this machine can ask and the data is a demo's, also its roles to choose from."""
    urls, to = await run_in_threadpool(session.urls), request.query_params.get("next", "/")
    roles = {login: (name, role) for login, name, role in await run_in_threadpool(session.demo_accounts)}
    asked = fields.get("role") or parse_qs(urlsplit(local(to)).query).get("as", [""])[0]
    if asked in roles and (request.method == "POST" or not fields):
        found = await run_in_threadpool(accounts.demo, urls, asked)
        return await _in(request, found, "demo", to)
    named = request.scope.get(PROXIED)
    if named and request.method == "GET":
        found = await run_in_threadpool(accounts.proxied, urls, named)
        if found is not None:
            return await _in(request, found, "proxy", to)
        await run_in_threadpool(accounts.refused, urls, "proxy", "no_account", _from(request))
        return _page(request, t("sign_in.title"), _wrong("sign_in.no_account"), 403)
    said = request.query_params.get("said", "")
    wrong, status = f"sign_in.{said}" if said in SAID else None, 200
    if request.method == "POST":
        wrong = None
        try:
            found = await run_in_threadpool(accounts.check_password, urls, fields.get("login", "").strip().lower(), fields.get("password", ""), _from(request))
            if found is not None:
                return await _in(request, found, "password", to)
            wrong, status = "sign_in.wrong", 401
        except accounts.Blocked:
            wrong, status = "sign_in.blocked", 429
    body = (f'{_wrong(wrong)}<form >{_input("login", "sign_in.login", complete="username", more="autofocus autocapitalize=none spellcheck=false maxlength=63")}'
            f'{_input("password", "sign_in.password", "password", "current-password", "maxlength=200")}{_send("sign_in.do")}</form>')
    if by := provider():
        body += (f'<h2>{escape(t("sign_in.or"))}</h2><p><a class="other" href="/sign-in/oidc?{escape(urlencode({"next": local(to), "lang": words.language()}))}">'
                 f'{escape(t("sign_in.by", name=by.name))}</a></p>')
    if roles:
        body += f'<h2>{escape(t("sign_in.demo"))}</h2><p class="dim">{escape(t("sign_in.demo_note"))}</p><form >'
        body += "".join(f'<button class="role" name="role" value="{escape(login)}"><b>{escape(name)}</b><span>{escape(words.name("role", role))}</span></button>'
                        for login, (name, role) in roles.items()) + "</form>"
    return _page(request, t("sign_in.title"), body, status)


@lru_cache(maxsize=1)
def provider() -> oidc.Provider | None:
    """The identity provider of this installation, if it has one."""
    if settings().oidc is None:
        return None
    issuer, client, secret, name, ours = settings().oidc
    return oidc.Provider(issuer, client, secret, name, f"{ours}/sign-in/oidc/back")


async def to_provider(request: Request) -> Response:
    """Off to the identity provider, with a state, a nonce and a verifier that only this browser's attempt knows."""
    by, to = provider(), local(request.query_params.get("next", "/"))
    if by is None:
        return RedirectResponse("/sign-in", 303)
    state, nonce, verifier, browser = (token_urlsafe(48) for _ in range(4))
    try:
        address = await run_in_threadpool(by.begin, state, nonce, verifier)
        await run_in_threadpool(lambda: accounts.attempt(session.urls(), state, browser, nonce=nonce, verifier=verifier, to=to))
    except oidc.Away:
        return RedirectResponse(oidc.error_address("away", to), 303)
    except OperationalError:
        return RedirectResponse(oidc.error_address("again", to), 303)
    answer = RedirectResponse(address, 303)
    _cookie(request, answer, FLOW, browser, 600)
    return answer


async def from_provider(request: Request) -> Response:
    """Back from the provider. An attempt is taken once: a replayed callback, another browser's or a changed cookie finds none."""
    by, urls, asked = provider(), session.urls(), request.query_params
    if by is None:
        return RedirectResponse("/sign-in", 303)
    try:
        attempt = await run_in_threadpool(accounts.take_attempt, urls, asked.get("state", ""), request.cookies.get(FLOW, ""))
        if attempt is None:
            return await _not_in(request, "attempt", "again")
        if "code" not in asked:
            return await _not_in(request, "cancelled", "cancelled", attempt.next)
        try:
            issuer, subject = await run_in_threadpool(by.finish, asked["code"], attempt.verifier, attempt.nonce)
        except oidc.Refused as why:
            return await _not_in(request, str(why), "not_believed", attempt.next)
        except oidc.Away:
            return await _not_in(request, "away", "away", attempt.next)
        found = await run_in_threadpool(accounts.federated, urls, issuer, subject)
        if found is None:
            return await _not_in(request, "no_account", "no_account")
        answer = await _in(request, found, "oidc", attempt.next)
    except DBAPIError:
        return RedirectResponse(oidc.error_address("again", "/"), 303)
    answer.delete_cookie(FLOW)
    return answer


async def _not_in(request: Request, why: str, said: str, to: str = "/") -> Response:
    await run_in_threadpool(accounts.refused, session.urls(), "oidc", why, _from(request))
    answer = RedirectResponse(oidc.error_address(said, to), 303)
    answer.delete_cookie(FLOW)
    return answer


@form
async def sign_out(request: Request, fields: dict[str, str]) -> Response:
    """Ends the session for good: the cookie, copied or not, is worth nothing afterwards."""
    if request.method == "GET":
        return _page(request, t("sign_in.out"), f'<p>{escape(t("sign_in.out_note"))}</p><form >{_send("sign_in.out")}</form><p></p><p><a href="/">{escape(t("sign_in.stay"))}</a></p>')
    await run_in_threadpool(accounts.end, session.urls(), request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


def _twice(fields: dict[str, str]) -> str:
    if fields.get("new", "") != fields.get("repeat", ""):
        raise accounts.WeakPassword("differ")
    return fields.get("new", "")


def _new_password() -> str:
    return (f'<p class="dim">{escape(t("sign_in.rule", n=accounts.SHORTEST))}</p>{_input("new", "sign_in.new", "password", "new-password", "maxlength=200")}'
            f'{_input("repeat", "sign_in.repeat", "password", "new-password", "maxlength=200")}')


@form
async def password(request: Request, fields: dict[str, str]) -> Response:
    """Change one's own password: the old one is asked for, and every other session of the account ends."""
    urls, token = session.urls(), request.cookies.get(COOKIE, "")
    found = await run_in_threadpool(accounts.find, urls, token)
    if found is None or found.how != "password":
        return RedirectResponse("/", 303)
    wrong, status = None, 200
    if request.method == "POST":
        status = 422
        try:
            new = _twice(fields)
            if await run_in_threadpool(accounts.check_password, urls, found.login, fields.get("old", ""), _from(request)) is None:
                wrong = "sign_in.wrong_old"
            else:
                await run_in_threadpool(accounts.set_password, urls, found.user_id, found.login, new, token)
                return _page(request, t("sign_in.change"), f'<p role="status">{escape(t("sign_in.changed"))}</p><p><a href="/">{escape(t("sign_in.on"))}</a></p>')
        except accounts.Blocked:
            wrong, status = "sign_in.blocked", 429
        except accounts.WeakPassword as why:
            wrong = f"sign_in.weak_{why}"
    return _page(request, t("sign_in.change"), f'{_wrong(wrong)}<form >{_input("old", "sign_in.old", "password", "current-password", "maxlength=200")}'
                 f'{_new_password()}{_send("sign_in.change")}</form><p></p><p><a href="/">{escape(t("sign_in.stay"))}</a></p>', status)


@form
async def set_up(request: Request, fields: dict[str, str]) -> Response:
    """The first password, by a link that works once and for a day."""
    urls, token = await run_in_threadpool(session.urls), request.path_params["token"]
    found = await run_in_threadpool(accounts.link, urls, token)
    if found is None:
        return _page(request, t("sign_in.set_up"), _wrong("sign_in.link_used") + _back(), 410)
    wrong, status = None, 200
    if request.method == "POST":
        try:
            user_id = await run_in_threadpool(accounts.use_link, urls, token, found.login, _twice(fields))
            if user_id is None:
                return _page(request, t("sign_in.set_up"), _wrong("sign_in.link_used") + _back(), 410)
            return await _in(request, user_id, "password", "/")
        except accounts.WeakPassword as why:
            wrong, status = f"sign_in.weak_{why}", 422
        except DBAPIError:                               # disabled between the two
            return _page(request, t("sign_in.set_up"), _wrong("error.not_allowed"), 403)
    who = escape(t("sign_in.for", name=found.name, login=found.login))
    return _page(request, t("sign_in.set_up"), f'<p>{who}</p>{_wrong(wrong)}<form >{_new_password()}{_send("sign_in.set_up")}</form>', status)


ROUTES = [Route("/sign-in/oidc", to_provider), Route("/sign-in/oidc/back", from_provider),
          Route("/sign-in", sign_in, methods=["GET", "POST"]), Route("/sign-out", sign_out, methods=["GET", "POST"]),
          Route("/password", password, methods=["GET", "POST"]), Route("/set-up/{token}", set_up, methods=["GET", "POST"])]
