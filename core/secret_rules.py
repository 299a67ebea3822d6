"""The secrets we know by their looks: a table of prefixes and shapes, one row a kind.

Does: say which literal to look for and which pattern must stand there; every pattern reads a bounded or unambiguous run,
so that a scan is linear in the text.
Does not: scan (that is `core.redaction`), or judge values by the name of their key.

Shapes are from each vendor's published token format, as of 2026-08. A pattern starts at its hint, or `back` characters
before it, and its group "secret", where it has one, is what is redacted; else the whole match is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A token may start here: not inside a word, or right after an escaped newline, tab or percent code.
_START = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
#: And end here.
_END = r"(?![A-Za-z0-9_])"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of secret: where to look, and what must be there."""

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    #: How many characters before the hint the pattern begins.
    back: int = 0


def _rule(kind: str, hints: str, pattern: str, *, back: int = 0) -> Rule:
    return Rule(kind=kind, hints=tuple(hints.split()), pattern=re.compile(pattern, re.ASCII), back=back)


RULES: tuple[Rule, ...] = (
    # Chat
    _rule("slack_token", "xox", r"xox[abceoprs](?:\.xox[bp])?-[A-Za-z0-9-]{8,}(?:%[0-9A-F]{2}[A-Za-z0-9%]*)?"),
    _rule("slack_token", "xapp-", r"xapp-[A-Za-z0-9-]{10,}"),
    _rule(
        "slack_webhook",
        "hooks.slack.com/",
        r"hooks\.slack\.com/(?P<secret>(?:services|workflows|triggers)/[\w/+-]{8,})",
    ),
    _rule("discord_webhook", "/api/webhooks/", r"/api/webhooks/(?P<secret>\d{15,}/[\w-]{30,})"),
    _rule("teams_webhook", "/IncomingWebhook/", r"/IncomingWebhook/(?P<secret>[0-9a-f]{32}/[\w-]{30,})"),
    _rule("telegram_token", ":AA", r"(?<=\d{8}):AA[\w-]{30,}"),
    # Code hosts and registries
    _rule("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{20,}"),
    _rule("github_token", "github_pat_", r"github_pat_\w{22,}"),
    _rule(
        "gitlab_token",
        "glpat- gldt- glrt- glptt- glcbt- glft- glsoat- glagent- gloas- glimt- glffct- GR1348941",
        r"(?:gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|oas|imt|ffct)-[\w.-]{18,}|GR1348941[\w-]{20,})",
    ),
    _rule("bitbucket_token", "ATBB ATCTT3", _START + r"AT(?:BB|CTT3)[\w=-]{24,}"),
    _rule("atlassian_token", "ATATT3", r"ATATT3[\w=-]{50,}"),
    _rule("npm_token", "npm_", _START + r"npm_[A-Za-z0-9]{30,}"),
    _rule("npm_token", "_authToken=", r"_authToken=(?P<secret>[^\s\"'$]{8,})"),
    _rule("pypi_token", "pypi-", _START + r"pypi-[\w-]{40,}"),
    _rule("rubygems_token", "rubygems_", r"rubygems_[0-9a-f]{40,}"),
    _rule("docker_token", "dckr_pat_ dckr_oat_", r"dckr_[po]at_[\w-]{20,}"),
    _rule("jfrog_token", "AKCp", _START + r"AKCp[A-Za-z0-9]{50,}"),
    # Clouds
    _rule("aws_access_key", "AKIA ASIA ABIA ACCA", _START + r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}" + _END),
    _rule("aws_bedrock_key", "ABSK", _START + r"ABSK[A-Za-z0-9+/]{80,}={0,2}"),
    _rule("gcp_api_key", "AIza", _START + r"AIza[\w-]{35,}"),
    _rule("gcp_oauth_token", "ya29.", _START + r"ya29\.[\w-]{20,}"),
    _rule("gcp_client_secret", "GOCSPX-", r"GOCSPX-[\w-]{20,}"),
    _rule("azure_client_secret", "Q~", r"(?:(?<![\w~.-])|(?<=\\[nrt]))[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])", back=4),
    _rule("azure_storage_key", "AccountKey= SharedAccessKey=", r"\w+=(?P<secret>[A-Za-z0-9+/]{40,}={0,2})"),
    _rule("azure_sas", "sig=", r"(?<=[?&])sig=(?P<secret>[\w%+/=-]{20,})"),
    _rule("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", r"do[opr]_v1_[0-9a-f]{40,}"),
    _rule("heroku_token", "HRKU-", r"HRKU-[\w-]{30,}"),
    _rule("fly_token", "fm1_ fm2_ fo1_", _START + r"f(?:m[12]|o1)_[\w+/=,-]{40,}"),
    _rule("netlify_token", "nfp_", _START + r"nfp_[A-Za-z0-9]{36,}"),
    _rule("databricks_token", "dapi", _START + r"dapi[0-9a-f]{32}(?:-\d+)?" + _END),
    _rule("planetscale_token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[\w.=-]{30,}"),
    _rule("supabase_token", "sbp_ sb_secret_", _START + r"sb(?:p|_secret)_[\w-]{20,}"),
    # Infrastructure and observability
    _rule("vault_token", "hvs. hvb. hvr.", _START + r"hv[sbr]\.[\w-]{20,}"),
    _rule("terraform_token", ".atlasv1.", _START + r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}", back=14),
    _rule("grafana_token", "glc_ glsa_", _START + r"gl(?:c|sa)_[\w+/=]{30,}"),
    _rule("grafana_token", "eyJrIjoi", _START + r"eyJrIjoi[A-Za-z0-9]{40,}={0,2}"),
    _rule("newrelic_key", "NRAK- NRII- NRJS-", r"NR(?:AK|II|JS)-[\w-]{19,}"),
    _rule("newrelic_key", "NRAL", r"(?<![0-9a-f])[0-9a-f]{36}NRAL" + _END, back=36),
    _rule("sentry_token", "sntrys_ sntryu_", r"sntry[su]_[\w+/=-]{40,}"),
    _rule("pagerduty_key", "pdus+ pdeu+", _START + r"pd(?:us|eu)\+[\w-]{16,}"),
    _rule("pagerduty_key", "/integration/", r"/integration/(?P<secret>[0-9A-Za-z]{32})" + _END),
    _rule("tailscale_key", "tskey-", _START + r"tskey-[\w-]{16,}"),
    _rule("pulumi_token", "pul-", _START + r"pul-[0-9a-f]{40}" + _END),
    _rule("doppler_token", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim.", _START + r"dp\.(?:pt|st|ct|sa|scim)\.[\w.-]{30,}"),
    _rule("onepassword_token", "ops_eyJ", r"ops_eyJ[\w+/=-]{60,}"),
    _rule("buildkite_token", "bkua_", r"bkua_[0-9a-f]{36,}"),
    _rule("circleci_token", "CCIPAT_", r"CCIPAT_\w{30,}"),
    # Models
    _rule("anthropic_key", "sk-ant-", _START + r"sk-ant-[\w-]{16,}"),
    _rule("openai_key", "sk-", _START + r"sk-(?:(?:proj|svcacct|admin|or-v1)-[\w-]{16,}|[A-Za-z0-9]{20,})"),
    _rule("huggingface_token", "hf_ api_org_", _START + r"(?:hf|api_org)_[A-Za-z0-9]{24,}"),
    _rule("groq_key", "gsk_", _START + r"gsk_[A-Za-z0-9]{40,}"),
    _rule("replicate_token", "r8_", _START + r"r8_[A-Za-z0-9]{30,}"),
    _rule("perplexity_key", "pplx-", _START + r"pplx-[A-Za-z0-9]{40,}"),
    _rule("xai_key", "xai-", _START + r"xai-[A-Za-z0-9]{60,}"),
    # Payments, mail, work tools
    _rule("stripe_key", "k_live_ k_test_", _START + r"[srp]k_(?:live|test)_[A-Za-z0-9]{16,}", back=1),
    _rule("stripe_webhook_secret", "whsec_", _START + r"whsec_[\w+/=]{20,}"),
    _rule("square_token", "sq0", _START + r"sq0[a-z]{3}-[\w-]{22,}"),
    _rule("shopify_token", "shpat_ shpss_ shpca_ shppa_", r"shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32,}"),
    _rule("twilio_key", "SK", _START + r"SK[0-9a-f]{32}" + _END),
    _rule("sendgrid_key", "SG.", _START + r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    _rule("mailgun_key", "key-", _START + r"key-[0-9a-f]{32}" + _END),
    _rule("mailchimp_key", "-us", r"(?<![0-9a-f])[0-9a-f]{32}-us\d{1,2}" + _END, back=32),
    _rule("linear_key", "lin_api_ lin_oauth_", r"lin_(?:api|oauth)_[A-Za-z0-9]{30,}"),
    _rule("notion_token", "ntn_ secret_", _START + r"(?:ntn|secret)_[A-Za-z0-9]{40,}"),
    _rule("airtable_token", "pat", _START + r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}" + _END),
    _rule("figma_token", "figd_", r"figd_[\w-]{30,}"),
    _rule("postman_key", "PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    # Formats
    _rule("jwt", "eyJ", r"(?:(?<![\w-])|(?<=\\[nrt]))eyJ[\w-]{8,}\.eyJ[\w-]{4,}(?:\.[\w-]*)?"),
    _rule("age_key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    _rule(
        "password_hash",
        "$2a$ $2b$ $2y$ $5$ $6$ $y$",
        r"\$(?:2[aby]\$\d\d\$[./A-Za-z0-9]{53}|(?:5|6|y)\$[./A-Za-z0-9=,$]{24,})",
    ),
    _rule("password_hash", "$argon2", r"\$argon2(?:id?|d)\$[\w+/=,.$-]{20,}"),
    _rule("url_password", "://", r"://[^\s/@:'\"<>]{0,100}:(?!\d{2,5}[?#])(?P<secret>[^\s/'\"<>]{1,200})@"),
    _rule("url_token", "://", r"://(?P<secret>(?=[\w-]{0,40}\d)[\w-]{20,255})@"),
    _rule("signed_url", "X-Amz-S X-Goog-S", r"X-(?:Amz|Goog)-(?:Signature|Security-Token)=(?P<secret>[\w%+/=-]{16,})"),
)
