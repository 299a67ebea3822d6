"""The words of the synthetic incident suite: domains, changes that break something, what monitoring says then, and everyday commits.

Does: hold them. `{svc}`, `{noun}`, `{Noun}`, `{dep}`, `{flag}` and `{n}` are filled in by `benchmarks.incident_world`.
Does not: come from any real team. Nothing may be fitted to these words: they test behaviour, they are no sample of the world.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One team's world."""

    name: str
    #: Service -> what it is about, and the services it calls.
    services: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    #: Whether each service has a repository of its own.
    many_repos: bool
    #: How the team writes down its services: "services", "owners", "catalog", "compose" or "".
    maps: str
    #: How deploys are told: "sha", "short", "tag", "bare" (no commit) or "" (release tags alone).
    deploys: str
    ext: str
    #: How many everyday commits.
    commits: int


DOMAINS = (
    Domain(
        name="bazaar",
        services={
            "storefront": (("page", "banner"), ("catalog", "basket", "identity")),
            "catalog": (("product", "category"), ("pictures",)),
            "basket": (("basket", "voucher"), ("pricing", "stock")),
            "pricing": (("price", "discount"), ()),
            "stock": (("shelf", "reservation"), ()),
            "identity": (("login", "profile"), ()),
            "pictures": (("thumbnail", "upload"), ()),
            "newsletter": (("campaign", "subscriber"), ()),
            "warehouse-map": (("aisle", "pallet"), ()),
        },
        many_repos=False,
        maps="services",
        deploys="sha",
        ext="py",
        commits=900,
    ),
    Domain(
        name="wallet",
        services={
            "gateway": (("route", "quota"), ("cards", "ledger", "consent")),
            "cards": (("card", "authorisation"), ("ledger", "riskcheck")),
            "ledger": (("posting", "balance"), ()),
            "riskcheck": (("rule", "score"), ()),
            "consent": (("consent", "mandate"), ()),
            "statements": (("statement", "archive"), ()),
        },
        many_repos=True,
        maps="services",
        deploys="short",
        ext="go",
        commits=700,
    ),
    Domain(
        name="streamer",
        services={
            "player-api": (("session", "manifest"), ("entitlements", "encoder")),
            "encoder": (("rendition", "segment"), ()),
            "entitlements": (("licence", "plan"), ()),
            "recommender": (("carousel", "ranking"), ()),
            "comments": (("thread", "reaction"), ()),
            "ads": (("spot", "break"), ()),
        },
        many_repos=False,
        maps="owners",
        deploys="bare",
        ext="ts",
        commits=600,
    ),
    Domain(
        name="clinic",
        services={
            "appointments": (("appointment", "slot"), ("patients", "notify")),
            "patients": (("patient", "record"), ("documents",)),
            "documents": (("document", "scan"), ()),
            "notify": (("reminder", "template"), ()),
            "billing-desk": (("invoice", "tariff"), ()),
        },
        many_repos=True,
        maps="catalog",
        deploys="tag",
        ext="java",
        commits=500,
    ),
    Domain(
        name="freight",
        services={
            "booking": (("booking", "quote"), ("routing", "customs")),
            "routing": (("leg", "schedule"), ()),
            "customs": (("declaration", "tariff"), ()),
            "tracking": (("beacon", "position"), ()),
            "depot": (("dock", "gate"), ()),
            "insurance": (("policy", "claim"), ()),
            "portal": (("dashboard", "widget"), ("booking", "tracking")),
        },
        many_repos=False,
        maps="compose",
        deploys="",
        ext="py",
        commits=400,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A change that breaks something, and what is seen of it."""

    #: Which file of a service it is in: "{module}.{ext}", or "config" for the service's settings.
    module: str
    subject: str
    removed: str
    added: str
    #: What monitoring says: a symptom without a cause, an error as logs have it, and the function on the stack.
    title: str
    symptom: str
    error: str
    frame: str
    #: A harmless change with the alert's words.
    decoy: str
    decoy_line: str


FAULTS = (
    Fault(
        module="config",
        subject="Fit {svc} into the small database plan",
        removed="pool_max_size: 40",
        added="pool_max_size: 6",
        title="{svc} 5xx ratio above 4 %",
        symptom="Requests queue up and then fail; the database itself is idle. Concurrency flat at a very low ceiling.",
        error="sqlalchemy.exc.TimeoutError: QueuePool limit of size 6 overflow 0 reached, connection timed out",
        frame="acquire_connection",
        decoy="Graph the 5xx ratio and connection timeouts of {svc}",
        decoy_line="panel('5xx ratio', 'connection timed out')",
    ),
    Fault(
        module="{dep}_client",
        subject="Give up on {dep} sooner",
        removed="TIMEOUT_SECONDS = 5.0",
        added="TIMEOUT_SECONDS = 0.2",
        title="{svc}: upstream failures",
        symptom="One in six {noun} requests ends in an error page. {dep} reports normal latency, p99 420 ms.",
        error="ReadTimeout: HTTPConnectionPool(host='{dep}', port=8080): Read timed out. (read timeout=0.2)",
        frame="fetch_from_{dep}",
        decoy="Count upstream failures of {noun} requests",
        decoy_line="metrics.count('upstream_failures', read_timed_out=True)",
    ),
    Fault(
        module="cache",
        subject="Keep every {noun} in process for an hour",
        removed="    return LruCache(max_entries=2000)",
        added="    return {{}}  # entries are small",
        title="{svc} containers restarting",
        symptom="Resident memory climbs in a straight line after each start until the kernel steps in.",
        error="OOMKilled exit code 137, memory limit 2Gi, working set 2.0Gi",
        frame="{noun}_cache_get",
        decoy="Report container restarts and resident memory of {svc}",
        decoy_line="report('restarts', 'memory limit', 'working set')",
    ),
    Fault(
        module="store",
        subject="Read {noun} details when they are first used",
        removed="    rows = session.query({Noun}).options(joinedload('details')).all()",
        added="    rows = session.query({Noun}).all()",
        title="{svc} p95 latency 9.4 s",
        symptom="Number of SELECT statements per request went from 3 to 180; database CPU at 95 %.",
        error="slow query log: SELECT * FROM {noun}_details WHERE {noun}_id = ? (x 61,204 in 5 min)",
        frame="list_{noun}s",
        decoy="Alert on p95 latency and database CPU",
        decoy_line="alert('p95 latency', 'database CPU', 'SELECT statements per request')",
    ),
    Fault(
        module="handler",
        subject="Take the {noun} owner from the account",
        removed="    owner = {noun}.owner or DEFAULT_OWNER",
        added="    owner = account.primary.owner",
        title="{svc}: unhandled exceptions",
        symptom="Guests see a blank screen, people who are signed in do not.",
        error="AttributeError: 'NoneType' object has no attribute 'primary'",
        frame="render_{noun}",
        decoy="Show guests a friendlier blank screen",
        decoy_line="message('Something went wrong on a blank screen')",
    ),
    Fault(
        module="migrations/0042_{noun}",
        subject="Make the {noun} status column mandatory",
        removed="-- next migration goes here",
        added="ALTER TABLE {noun} ALTER COLUMN status SET NOT NULL; UPDATE {noun} SET status = 'open' WHERE status IS NULL;",
        title="{svc}: writes blocked",
        symptom="Every write to one table hangs, reads are fine. Lock queue 240 deep.",
        error='canceling statement due to lock timeout CONTEXT: while updating tuple in relation "{noun}"',
        frame="save_{noun}",
        decoy="Document how to look at the lock queue when writes hang",
        decoy_line="-- writes blocked? see pg_locks; lock timeout, hangs",
    ),
    Fault(
        module="events",
        subject="Name {noun} fields the way the style guide does",
        removed='    return {{"{noun}Id": {noun}.id, "createdAt": {noun}.created}}',
        added='    return {{"{noun}_id": {noun}.id, "created_at": {noun}.created}}',
        title="{svc}: consumer lag growing",
        symptom="The consumer group rejects everything since this morning, the dead letter topic fills.",
        error="KeyError: '{noun}Id'",
        frame="publish_{noun}",
        decoy="Chart consumer lag and the dead letter topic",
        decoy_line="chart('consumer lag', 'dead letter topic')",
    ),
    Fault(
        module="{dep}_client",
        subject="Ask {dep} again at once when it is busy",
        removed="    backoff = Exponential(first=0.5, limit=5)",
        added="    backoff = Immediate(limit=50)",
        title="{dep} refuses {svc}",
        symptom="Outgoing calls from {svc} multiplied by nine within minutes; {dep} sheds load.",
        error="HTTP 429 Too Many Requests from {dep}",
        frame="call_{dep}",
        decoy="Explain how {dep} sheds load with 429",
        decoy_line="# 429 Too Many Requests: load is shed",
    ),
    Fault(
        module="auth",
        subject="Use the rotated key set for signatures",
        removed="    keys = KeySet.load(JWKS_URL, refresh=300)",
        added="    keys = KeySet.load(JWKS_FILE)",
        title="{svc}: 401 for a third of callers",
        symptom="Tokens issued after midnight are turned away; signing out and in again does not help.",
        error="InvalidTokenError: no key found for kid 2f81",
        frame="verify_token",
        decoy="Tell callers why a token was turned away",
        decoy_line="explain('401', 'no key found', 'kid')",
    ),
    Fault(
        module="totals",
        subject="Work out {noun} sums line by line",
        removed="    return round(sum(lines), 2)",
        added="    return sum(round(line, 0) for line in lines)",
        title="{svc}: reconciliation mismatch",
        symptom="The nightly comparison finds 1.8 % of amounts off by cents. Support gets calls.",
        error="ReconciliationError: 1,204 of 66,120 amounts differ",
        frame="{noun}_total",
        decoy="Mail the reconciliation mismatch report earlier",
        decoy_line="mail('amounts differ', 'nightly comparison')",
    ),
    Fault(
        module="worker",
        subject="Handle {noun} batches side by side",
        removed="    for item in batch: handle(item)",
        added="    with ThreadPool(16) as pool: pool.map(handle, batch)",
        title="{svc} jobs stuck",
        symptom="Background jobs stop after a few minutes. CPU idle, threads waiting for each other.",
        error="psycopg2.errors.DeadlockDetected: deadlock detected DETAIL: Process 311 waits for ShareLock",
        frame="handle_{noun}_batch",
        decoy="Page when background jobs are stuck",
        decoy_line="page('jobs stuck', 'threads waiting')",
    ),
    Fault(
        module="config",
        subject="Lower the default quota per client",
        removed="requests_per_minute: 600",
        added="requests_per_minute: 30",
        title="{svc}: partners report rejected requests",
        symptom="Large partners are turned away all day, small ones are not.",
        error="RateLimitExceeded: 31 requests in 60 s",
        frame="check_rate",
        decoy="Write to partners about rejected requests",
        decoy_line="template('rejected requests', 'partners are turned away')",
    ),
    Fault(
        module="paging",
        subject="Walk {noun} lists by cursor",
        removed="    while page := next_page(page.offset + 100):",
        added="    while page := next_page(page.cursor):",
        title="{svc} CPU saturation",
        symptom="All workers at 100 %, exports never finish and grow without end.",
        error="export aborted after 3600 s, 9,400,000 rows written",
        frame="walk_{noun}s",
        decoy="Cap exports that never finish",
        decoy_line="cap('export', 'rows written', 'never finish')",
    ),
    Fault(
        module="schedule",
        subject="Store {noun} times as people read them",
        removed="    return moment.astimezone(UTC)",
        added="    return moment.replace(tzinfo=None)",
        title="{svc}: entries on the wrong day",
        symptom="Everything between 22:00 and midnight turns up tomorrow, for users east of Greenwich.",
        error="ValueError: end precedes start by 7200 seconds",
        frame="{noun}_starts_at",
        decoy="Show which entries are on the wrong day",
        decoy_line="show('wrong day', 'east of Greenwich')",
    ),
)

#: (title, description) of incidents that no commit caused.
NO_COMMIT = (
    (
        "{svc}: disk 98 % full on node-{n}",
        "No space left on device while writing to /var/lib/data. Growth is the usual 2 GB a day, the volume was never extended.",
    ),
    (
        "TLS certificate expired for {svc}.example.net",
        "x509: certificate has expired or is not yet valid: current time is after notAfter. Renewal job has not run since the account was closed.",
    ),
    (
        "{svc}: cloud region outage",
        "The provider's status page reports loss of power in one availability zone; instances unreachable.",
    ),
    (
        "{svc} latency during the sale",
        "Traffic is six times the daily peak after the television spot; every queue is long, nothing fails by itself.",
    ),
    (
        "node-{n} down",
        "Machine check exception, uncorrectable memory error on DIMM B2. {svc} replicas are being rescheduled.",
    ),
    (
        "{svc}: DNS resolution failing",
        "SERVFAIL from the registrar's name servers, seen from three networks. Other customers of the registrar report the same.",
    ),
    ("{svc} cannot send mail", "The mail provider suspended our account: unpaid invoice. 550 5.7.1 relaying denied."),
    (
        "{svc}: one client hammers us",
        "A single address range sends 40,000 requests a second with random queries. Blocked at the edge.",
    ),
    (
        "Replication stopped on db-{n}",
        "Replica lost its network link for 40 minutes when a switch in rack 7 was replaced; it catches up now. {svc} serves old data.",
    ),
)

#: Everyday commits: module, subject, a line.
EVERYDAY = (
    ("handler", "Validate {noun} names", "    check_name({noun}.name)"),
    ("handler", "Return 404 for a missing {noun}", "    raise NotFound('{noun}')"),
    ("handler", "Allow filtering by {noun}", "    query = query.filter({noun}=wanted)"),
    ("store", "Add an index to speed up {noun} search", "    Index('{noun}_by_name')"),
    ("store", "Select only needed columns of {noun}", "    columns = ('id', 'name')"),
    ("store", "Close sessions when done", "    session.close()"),
    ("cache", "Invalidate {noun} when it changes", "    cache.drop({noun}.id)"),
    ("cache", "Measure the {noun} hit rate", "    metrics.count('{noun}_hits')"),
    ("events", "Publish {noun} deletions", "    publish('{noun}.deleted', {noun}.id)"),
    ("events", "Add a version to {noun} messages", "    message['version'] = {n}"),
    ("worker", "Log how long a {noun} batch takes", "    log.info('batch of {n} took %s', spent)"),
    ("worker", "Skip a {noun} that is already done", "    if {noun}.done: continue"),
    ("auth", "Audit who signs in", "    audit('login', user)"),
    ("auth", "Shorten the session of admins", "    ADMIN_SESSION = {n}"),
    ("totals", "Support a second currency", "    currency = {noun}.currency or 'EUR'"),
    ("paging", "Limit pages to {n} rows", "    LIMIT = {n}"),
    ("schedule", "Sort {noun} entries by start", "    entries.sort(key=start)"),
    ("config", "Raise log level", "log_level: info{n}"),
    ("config", "Set the {noun} limit to {n}", "{noun}_limit: {n}"),
    ("config", "More replicas for {svc}", "replicas: {n}"),
    ("docs/README.md", "Describe how {noun} works", "A {noun} is described here, part {n}."),
    ("tests/test_handler", "Test a {noun} without a name", "def test_{noun}_{n}(): ..."),
    ("handler", "Fix the spelling of {noun}", "    label = '{noun} {n}'"),
    ("handler", "Refactor {noun} rendering", "    return view({noun}, {n})"),
    ("requirements.txt", "Bump requests to 2.{n}", "requests==2.{n}"),
    ("metrics", "Export {noun} counters", "    gauge('{noun}_{n}')"),
    ("handler", "Translate {noun} messages", "    _('{noun} was saved')"),
    ("store", "Archive old {noun} rows", "    archive({noun}, days={n})"),
)
