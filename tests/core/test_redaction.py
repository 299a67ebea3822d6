"""Secrets go, operations stay. Every secret here is built at run time from parts: none lies in the repository."""

from __future__ import annotations

import base64
import json
import logging
import random
import string
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.redaction import RedactSecrets, find_secrets, redact, redact_json

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + string.digits
BASE64 = ALNUM + "+/"


def _run(rng: random.Random, count: int, alphabet: str = ALNUM) -> str:
    """Random characters that hold a letter and a digit, as issued tokens do."""
    body = "".join(rng.choices(alphabet, k=count))
    return body[:-2] + "a7" if set("a7") <= set(alphabet) else body[:-2] + "A7"


def _pem(rng: random.Random, label: str) -> str:
    lines = "\n".join(_run(rng, 64, BASE64) for _ in range(5))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----"


def _jwt(rng: random.Random) -> str:
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "HS256"}, {"sub": "1"})
    )
    return f"{head}.{body}.{_run(rng, 43)}"  # fmt: skip


#: Kinds known by their looks: any context, no name beside them.
LOOKS: dict[str, Callable[[random.Random], str]] = {
    "slack bot": lambda r: "xoxb" + f"-{_run(r, 12, string.digits + 'aA')}-{_run(r, 24)}",
    "slack user": lambda r: "xoxp" + f"-1234567890-{_run(r, 32, HEX)}",
    "slack app": lambda r: "xapp" + f"-1-A0{_run(r, 9, UPPER)}-123456-{_run(r, 64, HEX)}",
    "slack rotated": lambda r: "xoxe" + f".xoxp-1-{_run(r, 60)}",
    "slack webhook": lambda r: "https://hooks.slack" + f".com/services/T{_run(r, 8, UPPER)}/B{_run(r, 8, UPPER)}/{_run(r, 24)}",
    "github classic": lambda r: "ghp" + f"_{_run(r, 36)}",
    "github app": lambda r: "ghs" + f"_{_run(r, 36)}",
    "github fine": lambda r: "github" + f"_pat_{_run(r, 22)}_{_run(r, 59)}",
    "gitlab": lambda r: "glpat" + f"-{_run(r, 20)}",
    "gitlab runner": lambda r: "glrt" + f"-{_run(r, 20)}",
    "bitbucket": lambda r: "ATBB" + _run(r, 32),
    "atlassian": lambda r: "ATATT3" + _run(r, 60),
    "npm": lambda r: "npm" + f"_{_run(r, 36)}",
    "pypi": lambda r: "pypi" + f"-AgEIcHlwaS5vcmc{_run(r, 60)}",
    "rubygems": lambda r: "rubygems" + f"_{_run(r, 48, HEX)}",
    "docker": lambda r: "dckr" + f"_pat_{_run(r, 27)}",
    "aws access": lambda r: "AKIA" + _run(r, 16, UPPER),
    "aws session": lambda r: "ASIA" + _run(r, 16, UPPER),
    "gcp api": lambda r: "AIza" + _run(r, 35),
    "gcp oauth": lambda r: "ya29" + f".{_run(r, 60)}",
    "gcp client": lambda r: "GOCSPX" + f"-{_run(r, 28)}",
    "azure client": lambda r: _run(r, 3) + "8Q" + f"~{_run(r, 34)}",
    "azure storage": lambda r: "DefaultEndpointsProtocol=https;AccountName=shop;Account" + f"Key={_run(r, 86, BASE64)}==",
    "digitalocean": lambda r: "dop" + f"_v1_{_run(r, 64, HEX)}",
    "heroku": lambda r: "HRKU" + f"-{_run(r, 58)}",
    "databricks": lambda r: "dapi" + _run(r, 32, HEX),
    "planetscale": lambda r: "pscale" + f"_tkn_{_run(r, 43)}",
    "vault": lambda r: "hvs" + f".{_run(r, 24)}",
    "terraform": lambda r: _run(r, 14) + ".atlas" + f"v1.{_run(r, 64)}",
    "grafana": lambda r: "glsa" + f"_{_run(r, 32)}_{_run(r, 8, HEX)}",
    "new relic": lambda r: "NRAK" + f"-{_run(r, 27, UPPER)}",
    "sentry": lambda r: "sntrys" + f"_{_run(r, 80)}",
    "sentry dsn": lambda r: f"https://{_run(r, 32, HEX)}" + "@o1.ingest.sentry.io/2",
    "pagerduty oauth": lambda r: "pdus" + f"+_0XBPWQQ_{_run(r, 36)}",
    "pagerduty events url": lambda r: f"https://events.pagerduty.com/integration/{_run(r, 32, HEX)}/enqueue",
    "tailscale": lambda r: "tskey" + f"-auth-{_run(r, 12)}-{_run(r, 30)}",
    "pulumi": lambda r: "pul" + f"-{_run(r, 40, HEX)}",
    "doppler": lambda r: "dp" + f".pt.{_run(r, 43)}",
    "anthropic": lambda r: "sk" + f"-ant-api03-{_run(r, 80)}",
    "openai": lambda r: "sk" + f"-{_run(r, 48)}",
    "openai project": lambda r: "sk" + f"-proj-{_run(r, 80)}",
    "hugging face": lambda r: "hf" + f"_{_run(r, 34)}",
    "groq": lambda r: "gsk" + f"_{_run(r, 52)}",
    "stripe live": lambda r: "sk" + f"_live_{_run(r, 24)}",
    "stripe restricted": lambda r: "rk" + f"_test_{_run(r, 24)}",
    "stripe webhook": lambda r: "whsec" + f"_{_run(r, 32)}",
    "square": lambda r: "sq0" + f"atp-{_run(r, 22)}",
    "shopify": lambda r: "shpat" + f"_{_run(r, 32, HEX)}",
    "twilio": lambda r: "SK" + _run(r, 32, HEX),
    "sendgrid": lambda r: "SG" + f".{_run(r, 22)}.{_run(r, 43)}",
    "mailgun": lambda r: "key" + f"-{_run(r, 32, HEX)}",
    "mailchimp": lambda r: _run(r, 32, HEX) + "-us12",
    "linear": lambda r: "lin" + f"_api_{_run(r, 40)}",
    "notion": lambda r: "ntn" + f"_{_run(r, 46)}",
    "postman": lambda r: "PMAK" + f"-{_run(r, 24, HEX)}-{_run(r, 34, HEX)}",
    "telegram": lambda r: "1234567890" + f":AA{_run(r, 33)}",
    "jwt": _jwt,
    "bearer": lambda r: f"Bearer {_run(r, 32)}",
    "basic": lambda r: "Basic " + base64.b64encode(f"admin:{_run(r, 14)}".encode()).decode(),
    "pagerduty header": lambda r: f"Token token={_run(r, 20)}",
    "postgres url": lambda r: f"postgresql+psycopg://shop:{_run(r, 16)}@db.internal:5432/shop",
    "amqp url": lambda r: f"amqps://:{_run(r, 16)}@mq.internal/vhost",
    "git url": lambda r: f"https://{_run(r, 40)}@git.example.com/shop.git",
    "rsa key": lambda r: _pem(r, "RSA PRIVATE " + "KEY"),
    "ssh key": lambda r: _pem(r, "OPENSSH PRIVATE " + "KEY"),
    "bcrypt hash": lambda r: "$2b" + f"$12${_run(r, 53)}",
}  # fmt: skip

#: Kinds known only by the name they are assigned to.
NAMED: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "database password": ("db_password", lambda r: "hunter" + _run(r, 4)),
    "password of letters": ("DATABASE_PASSWORD", lambda r: "swordfish"),
    "mysql": ("MYSQL_PWD", lambda r: _run(r, 10)),
    "postgres": ("PGPASSWORD", lambda r: _run(r, 12)),
    "smtp": ("smtp_pass", lambda r: _run(r, 12)),
    "camel": ("adminPassword", lambda r: _run(r, 14)),
    "symbols": ("redis.password", lambda r: f"p@{_run(r, 6)}!#x"),
    "aws secret": ("aws_secret_access_key", lambda r: _run(r, 40, BASE64)),
    "pagerduty rest": ("pagerduty_api_key", lambda r: "u+" + _run(r, 18)),
    "pagerduty routing": ("routing_key", lambda r: _run(r, 32, HEX)),
    "pagerduty integration": ("integration_key", lambda r: _run(r, 32, HEX)),
    "datadog": ("DD_API_KEY", lambda r: _run(r, 32, HEX)),
    "client secret": ("client_secret", lambda r: _run(r, 32)),
    "signing secret": ("SLACK_SIGNING_SECRET", lambda r: _run(r, 32, HEX)),
    "access token": ("accessToken", lambda r: _run(r, 40)),
    "uuid key": ("x-api-key", lambda r: "6f1ed002-ab5f-4c2e-9d3a-0b1c2d3e4f5a"),
    "encryption key": ("ENCRYPTION_KEY", lambda r: _run(r, 44, BASE64)),
    "cookie secret": ("cookie_secret", lambda r: _run(r, 32)),
    "auth token": ("TWILIO_AUTH_TOKEN", lambda r: _run(r, 32, HEX)),
}  # fmt: skip

#: Five ways a secret stands in a text without its name, and with it.
BARE_FORMS: tuple[Callable[[str], str], ...] = (
    lambda s: f"2026-08-01T12:00:00Z ERROR call failed with {s} at 10.0.0.1",
    lambda s: f"export VALUE={s}",
    lambda s: f"value: '{s}'",
    lambda s: json.dumps({"text": s, "n": 1}),
    lambda s: json.dumps({"text": json.dumps({"line": f"got\n{s}"})}),
)
NAMED_FORMS: tuple[Callable[[str, str], str], ...] = (
    lambda n, s: f"export {n}={s}",
    lambda n, s: f"spec:\n  {n}: {s}\n  replicas: 3",
    lambda n, s: json.dumps({"before": 1, n: s}),
    lambda n, s: f'client.connect({n} = "{s}", timeout=3)',
    lambda n, s: f"env:\n- name: {n}\n  value: {s}\n",
)

#: Lines of a working day that must come through byte for byte.
BENIGN = """\
fix: revert 9fceb02d0ae598e95dc970b74767f19372d61af8 (pool size)
commit 5d41402abc4b2a76b9719d911017c592aa11bb22 by Ana, 2026-08-01
Fixes: 1a2b3c4d5e6f ("checkout: retry on timeout")
trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
request_id: 123e4567-e89b-12d3-a456-426614174000
correlation-id=9b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9 status=503
image: registry.internal/shop/checkout@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
image: ghcr.io/acme/api:v2.31.4-9f8e7d6
pod checkout-7d9f8c6b5-x2x4q in CrashLoopBackOff, restarts 12
kubectl logs checkout-7d9f8c6b5-x2x4q -n payments --previous
kubectl get secret checkout-db-credentials -n payments -o yaml
secret "checkout-db" not found
secretName: checkout-db-tls
secretKeyRef: {name: checkout-db, key: password}
arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/checkout/db-AbCdEf
arn:aws:iam::123456789012:role/checkout-task-role
10.42.7.19:5432 - FATAL: password authentication failed for user "shop"
2001:db8:85a3::8a2e:370:7334 unreachable
histogram_quantile(0.99, sum(rate(http_request_duration_seconds_bucket{service="checkout"}[5m])) by (le)) > 2
rate(token_bucket_rejected_total[5m]) > 10
auth_token_refresh_errors_total{job="gateway"} 42
max_tokens=4096 temperature=0
prompt_tokens: 812, completion_tokens: 64
token count: 250
token_ttl: 3600s
access_token_expiry_seconds = 900
error: invalid token: signature mismatch
JWT verification failed: token expired at 2026-08-01T12:00:00Z
password: must be rotated every 90 days
Login failed: wrong password
password_reset_url: https://example.com/reset
passwordless login enabled for 30% of users
DB_PASSWORD=${DB_PASSWORD}
password: {{ .Values.db.password }}
api_key: <your key here>
token: $(cat /var/run/secrets/kubernetes.io/serviceaccount/token)
password = os.environ["DB_PASSWORD"]
client = Client(token=token, password=settings.db_password)
def login(user: str, password: str, token: Token | None = None) -> Session:
api_key: Optional[str] = None
--password-file /run/secrets/db_password
ssh_key_path: /etc/ssh/ssh_host_ed25519_key
public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ3b3JrZXJzLXB1YmxpYy1rZXk ops@host
-----BEGIN CERTIFICATE-----
primary key: id, partition key: tenant
primary_key=orders_pkey duplicate key value violates unique constraint
routing_key: orders.created.v2
cache_key=user:42:cart:v3
idempotency_key=123e4567-e89b-12d3-a456-426614174000
dedup_key: checkout/latency/p99
next_page_token=CAUQAA8xYz9hYmNkZWZnaGlqa2xtbm9w
session affinity: ClientIP
ETag: "33a64df551425fcc55e4d42a148795d9f25f89d4"
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  checkout-2.31.4.tar.gz
Cache-Control: max-age=3600, s-maxage=86400
https://grafana.internal/d/abc123XYZ/checkout?orgId=1&from=1722513600000&to=1722517200000
https://github.com/acme/shop/commit/9fceb02d0ae598e95dc970b74767f19372d61af8
postgresql://db.internal:5432/shop?sslmode=require
redis://cache-0.cache.svc.cluster.local:6379/0
ssh git@github.com:acme/shop.git
vpc-0a1b2c3d4e5f67890 subnet-0fedcba9876543210 i-0123456789abcdef0
build 20260801.3 of task-scheduler, disk-usage 91%, risk-level high
Thread-42 pool-1-thread-7 java.util.concurrent.TimeoutException at com.acme.Checkout.pay(Checkout.java:118)
0x00007f8b4c0d3e20 in pthread_cond_wait@@GLIBC_2.3.2 ()
sk-learn and skopeo updated; xapp deployed; hf_transfer disabled
UPDATE pg_stat_activity SET state = 'idle' WHERE pid = 31337;
cert fingerprint SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDeEBO4Xo4Pn0NFOoE
AWS region eu-west-1, account 123456789012, bucket s3://acme-prod-logs/2026/08/01/
deploy of checkout@2.31.4 finished, revision 184, sync wave 3
auth: enabled
authentication = required
Authorization header missing
credentials: see the password vault
cookie domain: .example.com
kubectl create secret generic db --from-file=./password.txt
use `redis-cli -h cache-0 info` and `mysql -h db -u shop shop`
curl -u "$USER:$PASS" https://api.internal/v1
The secret to a calm on-call is a short runbook.
""".splitlines()


def _leaked(secret: str, shown: str) -> bool:
    """Whether any 12 characters of a secret's own random part are still there; a short one must be gone whole."""
    body = secret if len(secret) < 24 else secret[-20:]
    return body in shown


def _parts(secret: str) -> str:
    """The part of a secret that must not survive: of a URL its password, of a pair its value."""
    for before, after in (("://", "@"), ("://", "/enqueue")):
        if before in secret and after in secret:
            return secret.split(before, 1)[1].split(after, 1)[0].rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    return secret


@pytest.mark.parametrize("kind", LOOKS)
def test_a_secret_known_by_its_looks_is_removed_in_every_form(kind):
    """Each kind, five forms, no name beside it: nothing of it survives."""
    secrets = [LOOKS[kind](random.Random(f"{kind}{seed}")) for seed in range(3)]
    left = [form(s) for s in secrets for form in BARE_FORMS if _leaked(_parts(s), redact(form(s)))]

    assert left == []


@pytest.mark.parametrize("kind", NAMED)
def test_a_secret_known_by_its_name_is_removed_in_every_form(kind):
    """Each name, five forms of assignment: the value is gone, the name stays."""
    name, make = NAMED[kind]
    secret = make(random.Random(kind))
    shown = [redact(form(name, secret)) for form in NAMED_FORMS]

    assert [(secret in text, name in text) for text in shown] == [(False, True)] * len(NAMED_FORMS)


@pytest.mark.parametrize("line", BENIGN)
def test_an_operations_line_is_kept_byte_for_byte(line):
    """Commit ids, trace ids, digests, pods, addresses, ARNs, metrics, code and talk about secrets stay."""
    assert redact(line) == line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db_password: hunter2", "db_password: [redacted:password]"),
        ("the db password is Winter2026!", "the db password is [redacted:password]!"),
        ("curl -u admin:s3cr3t https://x", "curl -u admin:[redacted:password] https://x"),
        ("mysql -h db -pS3cr3t shop", "mysql -h db -p[redacted:password] shop"),
        ("./sync --api-key 9f8e7d6c5b4a39281706 --dry-run", "./sync --api-key [redacted:api_key] --dry-run"),
        ("<password>hunter2</password>", "<password>[redacted:password]</password>"),
        ("GET /x?token=abc123def456&page=2", "GET /x?token=[redacted:api_token]&page=2"),
        ("Server=db;User=sa;Password=a1b2!c3;Encrypt=true", "Server=db;User=sa;Password=[redacted:password];Encrypt=true"),
        ("password: 's3cret, with blanks'", "password: '[redacted:password]'"),
        ("API key: 9f8e7d6c5b4a39281706", "API key: [redacted:api_key]"),
        ("X-Vault-Token: 9f8e7d6c5b4a39281706", "X-Vault-Token: [redacted:api_token]"),
        ("postgres://u:p@ss:w@db/x", "postgres://u:[redacted:url_password]@db/x"),
    ],
)  # fmt: skip
def test_only_the_value_goes_and_the_line_stays_readable(text, expected):
    """What surrounds a secret is what an engineer needs."""
    assert redact(text) == expected


@pytest.mark.parametrize(
    "encode", [lambda b: base64.b64encode(b).decode(), bytes.hex, lambda b: "".join(f"%{c:02X}" for c in b)]
)
def test_a_secret_inside_an_encoding_is_removed(encode):
    """Base64, hex and percent encoding hide nothing."""
    secret = "ghp" + "_" + _run(random.Random(7), 36)
    hidden = encode(f"GITHUB={secret}".encode())

    assert redact(f"blob {hidden} end") == "blob [redacted:encoded_secret] end"


def test_a_private_key_cut_off_before_its_end_is_removed():
    """A log line or chunk that holds half a key still holds a key."""
    whole = _pem(random.Random(3), "RSA PRIVATE " + "KEY")
    cut = whole[: len(whole) // 2]

    assert redact(f"tls:\n{cut}") == "tls:\n[redacted:private_key]"


#: Fragments whose joins have tripped redactors: names, separators, prefixes, placeholders, halves of tokens.
_FRAGMENTS = st.sampled_from(
    ["password", "token", "_", "-", "=", ": ", '"', "'", "\\n", "\n", " ", ",", ";", "&", "://", "@", ":", "a1B2", "/", "%3D", "name: ",
     "value: ", "[redacted:", "]", "[redacted:password]", "ghp" + "_" + "a1" * 18, "AKIA" + "A" * 16, "xoxb" + "-123456789-abcdefgh", "eyJ" + "hbGciOi",
     ".", "Bearer ", "-----BEGIN RSA PRIVATE " + "KEY-----", "-----END RSA PRIVATE " + "KEY-----", "A" * 64, "SK", "0" * 32, "$", "{", "(", "é", "İ"]
)  # fmt: skip


@given(st.lists(_FRAGMENTS | st.text(max_size=8), max_size=14).map("".join))
@example("İpassword=hunter2 password=[redacted:password]x")
def test_redacting_twice_is_redacting_once(text):
    """Whatever the text, the second pass finds nothing."""
    once = redact(text)

    assert (redact(once), find_secrets(once)) == (once, [])


def test_json_is_redacted_at_any_depth_and_by_its_keys():
    """A value under a secret's name goes; numbers, flags and everything else keep their place and type."""
    token = "xoxb" + "-1234567890-" + _run(random.Random(1), 24)
    value = {
        "service": "checkout",
        "replicas": 3,
        "db": {"password": "swordfish", "port": 5432, "tls": True, "note": None},
        "env": [{"name": "API_TOKEN", "value": "9f8e7d6c5b4a39281706"}, f"used {token}"],
        "custom_fields": [["db_password", "swordfish"], ["region", "eu-west-1"]],
    }

    assert redact_json(value) == {
        "service": "checkout",
        "replicas": 3,
        "db": {"password": "[redacted:password]", "port": 5432, "tls": True, "note": None},
        "env": [{"name": "API_TOKEN", "value": "[redacted:api_token]"}, "used [redacted:slack_token]"],
        "custom_fields": [["db_password", "[redacted:password]"], ["region", "eu-west-1"]],
    }


def test_a_log_handler_with_the_filter_writes_no_secret():
    """Message, arguments and traceback are redacted, whichever logger they came from."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Lines()
    handler.addFilter(RedactSecrets())
    logger = logging.getLogger("test.redaction.child")
    logger.addHandler(handler)
    try:
        raise ValueError("cannot reach postgres://shop:s3cr3t9@db/shop")
    except ValueError:
        logger.exception("connect with %s failed", "password=hunter2")
    finally:
        logger.removeHandler(handler)

    assert ("hunter2" in lines[0], "s3cr3t9" in lines[0], "postgres://shop:[redacted:url_password]@db" in lines[0]) == (
        False,
        False,
        True,
    )


def test_a_record_whose_arguments_do_not_fit_is_logged_all_the_same():
    """Redaction never turns a log line into a failure of its caller."""
    record = logging.LogRecord("n", logging.INFO, "f", 1, "password=%s %d", ("hunter2",), None)

    assert (RedactSecrets().filter(record), "hunter2" in record.getMessage()) == (True, False)


def test_long_hostile_texts_are_scanned_in_linear_steps():
    """Runs made of prefixes, quotes and half-tokens: doubling the text about doubles what is read, and nothing hangs."""
    units = [
        "password=",
        "eyJabcdefgh.",
        "://a:",
        "-----BEGIN PRIVATE " + "KEY-----\n",
        "xox",
        "token=a,",
        'secret: "',
        "%4",
        "name: password\n",
    ]

    assert [redact(redact(unit * 20_000)) == redact(unit * 20_000) for unit in units] == [True] * len(units)
