"""Does a program ask who sends a request: by a session, a token, a signature, a secret, a membership?

What shows it are calls by the names that people give to such checks, the headers that carry a caller's
proof, and secrets of the program's own that a caller has to know. A name proves little, so the question
is answered generously: a handler is said to ask nobody only when nothing that it runs looks like it.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from lint.source.modules import module_parts
from lint.source.requests import API_FOLDER, ROUTE, is_route, names_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lint.source.graph import Graph
    from lint.source.modules import FunctionId
    from lint.source.requests import Handler
    from lint.source.sites import Call

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
#: Names that say it wholly.
_ASKS = frozenset(
    {"getUser", "getClaims", "getSession", "getServerSession", "currentUser", "getCurrentUser", "getAuth"}
    | {"auth", "getToken", "getUserFromRequest", "timingSafeEqual", "safeEqual", "createHmac", "getAuthUser"}
    | {"constructEvent", "constructEventAsync", "jwtVerify", "signInWithPassword", "getIronSession"}
)
_ASKS_PLAINLY = frozenset(name.lower() for name in _ASKS)
#: What is always a check, whatever it is of; a captcha tells people from machines, not who they are.
_CHECKS = frozenset(
    {"verify", "authenticate", "authorize", "authorise", "guard", "protect", "auth", "authed"}
)
_CHECKS_SOMETHING = frozenset({"require", "ensure"})
_NOT_WHO = frozenset({"captcha", "recaptcha", "turnstile", "hcaptcha", "env", "environment", "body", "json"})
#: What is a check of one of these, or gives one of these.
_MAY_CHECK = frozenset(
    {
        "check",
        "validate",
        "assert",
        "with",
        "has",
        "is",
        "can",
        "extract",
        "decode",
        "confirm",
        "enforce",
        "compare",
    }
)
_WHO = frozenset(
    {"auth", "authenticated", "authentication", "authorization", "authorized", "session", "token", "jwt"}
    | {
        "claims",
        "signature",
        "hmac",
        "secret",
        "bearer",
        "caller",
        "identity",
        "principal",
        "actor",
        "apikey",
    }
    | {"permission", "permissions", "access", "role", "admin", "owner", "member", "membership", "credentials"}
)
_GIVES = frozenset({"get", "load", "resolve", "fetch", "read", "use", "find", "lookup", "parse", "from"})
_GIVEN = frozenset(
    {
        "auth",
        "authenticated",
        "session",
        "jwt",
        "claims",
        "caller",
        "identity",
        "principal",
        "actor",
        "bearer",
    }
)
#: What the platform's administration does to users asks nothing of who called.
_ADMINISTERS = re.compile(r"\bauth\.admin\.")
_PROOF = re.compile(
    r"authorization|api[-_]?key|token|secret|signature|cookie|x-[\w-]*(?:key|auth|user)", re.IGNORECASE
)
_CARRIES = re.compile(r"headers?|cookies?|\breq(?:uest)?\b|\bc(?:tx)?\b", re.IGNORECASE)
#: Where a request carries who was authenticated before, and what only a known caller knows.
_IN_TEXT = re.compile(
    r"\b(?:req|request|ctx|context|c|event|locals|session|socket)(?:[?!]?\.\w+)*[?!]?\.(?:user|userId|auth|session|"
    r"claims|principal|identity|jwt|currentUser|account)\b"
    r"|headers[?!]?\.(?:authorization|cookie)\b|headers\[\s*['\"](?:authorization|x-[\w-]*(?:key|secret|token|signature))"
    r"|\b\w*(?:CRON|WEBHOOK|INTERNAL|SIGNING|SHARED|HOOK|ADMIN|FUNCTION|EDGE|TRIGGER|CALLBACK|VERIFY)\w*"
    r"(?:SECRET|KEY|TOKEN|PASSWORD)\b",
    re.IGNORECASE,
)
_COMMENTS = re.compile(r"/\*.*?\*/|(?<![:'\"])//[^\n]*", re.DOTALL)
_MIDDLEWARE = re.compile(r"(?:^|/)(?:middleware|proxy|hooks\.server)\.[cm]?[jt]s\Z")
#: What an application runs before every route: `app.use(authenticate)`, `provide: APP_GUARD`.
_GLOBALLY = re.compile(r"\b(?:useGlobalGuards|APP_GUARD)\b")
_APPLICATION = re.compile(
    r"\b(?:app|server|fastify|api|instance)\.(?:use|addHook|onBeforeHandle)\(([^;\n]{0,200})"
)
_GUARDS = frozenset({"UseGuards", "Auth", "Authenticated", "Roles", "RequirePermissions"})


class Askers:
    """Which functions of a program look at who asks."""

    def __init__(self, graph: Graph, contents: Mapping[str, bytes]) -> None:
        self._graph = graph
        self._contents = contents
        self._texts: dict[str, list[str]] = {}
        self._by_import: dict[str, bool] = {}

    def asks(self, handler: Handler) -> bool:
        """Say whether anything that runs for a handler, or before it, asks who sends the request."""
        if any(asks_by_name(name) for name in handler.before) or not _GUARDS.isdisjoint(handler.before):
            return True
        routed = not (ROUTE.search(handler.path) or API_FOLDER.search(handler.path))
        if handler.path in self._guarded_files or (routed and self._guarded_everywhere):
            return True
        running = self._graph.reachable_from((*handler.functions, *self._inside(handler)))
        around = [edge.call for one in handler.functions for edge in self._graph.callers_of(one)]
        wrapped = any(call is not None and not is_route(call) and is_asking(call) for call in around)
        if wrapped or not running.isdisjoint(self._asking) or any(map(self._says, running)):
            return True
        return any(map(self._leaves_to_others, running))

    def _inside(self, handler: Handler) -> Iterator[FunctionId]:
        """Yield the functions that stand inside a handler's: their calls are part of its work."""
        for path, name in handler.functions:
            yield from self._graph.within((path, name)) if name else ()

    @cached_property
    def _asking(self) -> frozenset[FunctionId]:
        """The functions that make a call which asks."""
        return frozenset(
            self._graph.owner(source, call.function)
            for source in self._graph.sources
            for call in source.calls
            if is_asking(call)
        )

    def _says(self, function: FunctionId) -> bool:
        """Say whether the text of a function reads who was authenticated, or a secret of the program."""
        path, name = function
        known = self._graph.functions.get(function)
        if known is None or not name:
            return False
        if path not in self._texts:
            text = self._contents.get(path, b"").decode("utf-8", "replace")
            self._texts[path] = _COMMENTS.sub(_blank, text).split("\n")
        lines = self._texts[path][known.place.line - 1 : known.place.end_line]
        return any(_IN_TEXT.search(line) for line in lines)

    @cached_property
    def _guarded_files(self) -> frozenset[str]:
        """The files whose router asks before every route of it: `router.use(requireUser)`."""
        return frozenset(source.path for source in self._graph.sources if any(map(_guards_all, source.calls)))

    @cached_property
    def _guarded_everywhere(self) -> bool:
        """True when an application asks before every route, or a controller's guard is global."""
        texts = (
            text
            for text in self._contents.values()
            if b".use(" in text or b"Guard" in text or b"Hook(" in text
        )
        return any(_guards_application(text.decode("utf-8", "replace")) for text in texts)

    def _leaves_to_others(self, function: FunctionId) -> bool:
        """Say whether a function calls one of a file that was not read, which names who asks."""
        source = self._graph.source_of(function)
        for call in source.calls:
            imported = source.imports.get(call.written.partition(".")[0], "")
            here = bool(imported) and self._graph.owner(source, call.function) == function
            if here and not self._graph.targets(call, source) and self._file_asks(imported):
                return True
        return False

    def _file_asks(self, imported: str) -> bool:
        """Say whether the file that an imported name comes from names who asks anywhere."""
        if imported not in self._by_import:
            *module, _ = [part for part in re.split(r"[./]", imported) if part not in {"", "@", "~"}] or [""]
            near = self._by_module.get(module[-1], ()) if module else ()
            wanted = tuple(module[-2:])
            self._by_import[imported] = any(
                _names_who(self._contents[path])
                for path in near
                if module_parts(path)[-len(wanted) :] == wanted
            )
        return self._by_import[imported]

    @cached_property
    def _by_module(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self._contents:
            if not path.endswith(".py"):
                found.setdefault(module_parts(path)[-1], []).append(path)
        return found

    def middleware(self, path: str) -> str:
        """Return the file that runs before a route and names who asks, "" when there is none."""
        if "/functions/" in f"/{path}" or not (ROUTE.search(path) or API_FOLDER.search(path)):
            return ""
        return next((one for one, folder in self._middlewares if f"{path}/".startswith(folder)), "")

    @cached_property
    def _middlewares(self) -> tuple[tuple[str, str], ...]:
        """Each such file of the program, with the folder of the application that it belongs to."""
        return tuple(
            (path, path.rpartition("/")[0].removesuffix("src"))
            for path, content in self._contents.items()
            if _MIDDLEWARE.search(path) and _names_who(content)
        )


def _names_who(content: bytes) -> bool:
    text = _COMMENTS.sub("", content.decode("utf-8", "replace"))
    return any(asks_by_name(word) for word in set(re.findall(r"\w+", text)))


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def _guards_application(text: str) -> bool:
    plain = _COMMENTS.sub("", text)
    if _GLOBALLY.search(plain):
        return True
    return any(
        asks_by_name(word) for used in _APPLICATION.findall(plain) for word in re.findall(r"\w+", used)
    )


def _guards_all(call: Call) -> bool:
    """Say whether a call puts something that asks before every route: `app.use("/x", guard)`."""
    if call.name not in {"use", "addHook", "onBeforeHandle"}:
        return False
    names = (name for one in call.arguments for name in (one.text, *names_in(one)))
    return any(asks_by_name(name.partition("(")[0]) for name in names)


def is_asking(call: Call) -> bool:
    """Say whether a call asks who sends a request, by its name or by what it reads."""
    if _ADMINISTERS.search(call.written):
        return False
    if asks_by_name(call.written):
        return True
    reads = call.name in {"get", "header", "getHeader", "cookie", "has"} and _CARRIES.search(call.written)
    return bool(reads) and any(a.kind == "literal" and _PROOF.search(a.text) for a in call.arguments)


def asks_by_name(written: str) -> bool:
    """Say whether a function is called as checks of who asks are."""
    name = written.rpartition(".")[2]
    words = [word.lower() for word in _WORDS.findall(name)]
    if name.replace("_", "").lower() in _ASKS_PLAINLY or {"current", "user"} <= set(words):
        return True
    if words[-1:] == ["required"] and len(words) > 1:
        return True  # @login_required, @jwt_required
    if not words or not _NOT_WHO.isdisjoint(words):
        return False
    rest = set(words[1:])
    if words[0] in _CHECKS or (words[0] in _CHECKS_SOMETHING and rest):
        return True
    if words[0] in _MAY_CHECK:
        return not rest.isdisjoint(_WHO) or {"api", "key"} <= rest
    return words[0] in _GIVES and not rest.isdisjoint(_GIVEN)
