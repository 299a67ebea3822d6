"""Incidents whose own words tell of a cause that is no commit: a certificate that ran out, a full disk, a provider's outage.

Does: look for plain signs of such causes in an incident's words.
Does not: rule out a commit: one may fill a disk too. How much it speaks against all of them is weighed in `ranking.scorer`.
"""

from __future__ import annotations

import re

#: Characters of an incident that are looked at: behind them are logs, where such words stand by chance.
_READ = 4_000
_FEW = r"(?:\W+[\w'’.-]+){0,4}?\W+"
_DID = r"(?:deleted|dropped|truncated|rotated|revoked|changed|edited|removed|stopped|disabled|unplugged|closed|wiped|ran|shut)"
_WHO = r"(?:engineer|operator|dba|admin(?:istrator)?|intern|contractor|colleague|technician|somebody|someone)"
#: Who runs what a team rents: others' failures are told by their names.
_VENDOR = r"""(?:provider|vendor|third[- ]party|carrier|isp|aws|amazon|gcp|google\ cloud|azure|cloudflare|fastly|akamai|github|gitlab\.com|
    twilio|sendgrid|mailgun|stripe|paypal|adyen|okta|auth0|datadog|pagerduty|s3|ec2|rds|lets\ ?encrypt|docker\ ?hub|slack|
    data\ ?cent(?:er|re)|supplier|partner\ bank|acquirer)(?:'s)?"""
_FAILED = r"(?:outage|incident|brownout|degraded|unavailable|unreachable|down|disruption|maintenance)"
#: Cause -> what tells of it.
_CAUSES: dict[str, str] = {
    "a certificate ran out": rf"""
        \bcert\w*{_FEW}(?:expired?|expires|expiry|lapsed|ran\ out|after\ its\ notAfter) | \bexpired{_FEW}cert | \bnotAfter\b
        | CERT_DATE_INVALID | CERT_HAS_EXPIRED
    """,
    "a disk is full": r"""
        no\ space\ left | \bENOSPC\b | \bout\ of\ (?:disk|inodes)
        | \b(?:disk|volume|filesystem|partition|inodes?)\b(?:\W+[\w-]+){0,4}?\W+(?:full|filled\ up|exhausted|9\d(?:\.\d+)?\ ?%|100\ ?%)
    """,
    "a provider failed": rf"""
        \b{_VENDOR}\b[^.\n]{{0,60}}\b{_FAILED}\b
        | \b(?:region|availability\ zone|cloud)(?:'s)?\b[^.\n]{{0,40}}\b(?:outage|brownout|incident|without\ power)\b
        | \boutage\ (?:of|at|in)\b[^.\n]{{0,40}}\b(?:{_VENDOR}|region|zone|cloud)\b
        | \bstatus\ page\b[^.\n]{{0,60}}\b(?:confirms?|reports?|says|shows|incident|outage|loss) | \bhealth\ dashboard\b
        | \b(?:power\ (?:loss|failure|outage|cut)|loss\ of\ power|electricity\ cut|(?:fib(?:re|er)|cable)\ cut|cut\ (?:the|a)\ (?:fib(?:re|er)|cable)|cooling\ fail\w*)\b
    """,
    "hardware failed": r"""
        \bmachine\ check\b | \bEDAC\b | \bDIMM\b | \bIPMI\b | \bPSU\b | \bbad\ (?:ram|memory\ module|disk|sectors?)\b
        | \buncorrect(?:able|ed)\b[^.\n]{0,20}\b(?:memory|ecc|error) | \bhardware\ (?:fault|failure|error)
        | \b(?:disk|drive|power\ supply|nic|switch|router|fan)\ (?:has\ |had\ )?(?:failed|died|was\ replaced)
        | \bfailed\ (?:disk|drive|power\ supply|nic|switch)\b | \bin\ rack\ \w+ | \bSMART\ error | \bnoisy\ neighbou?r
    """,
    "traffic grew": r"""
        \b(?:traffic|load|visitors|rps|qps|requests(?:\ (?:per|a)\ (?:second|minute))?|sessions|sign-?ups)\W+
            (?:(?:is|are|was|were|at|went|grew|up|to|now|reached|hit|rose)\W+){0,3}
            (?:\w+\ times|\d+(?:\.\d+)?\ ?x\b|\w+fold\b)
        | \d+(?:\.\d+)?\ ?x\ (?:(?:the|our|its)\ )?(?:normal|usual|peak|average)\ (?:traffic|load)
        | \btraffic\ (?:spike|surge|flood) | \b(?:spike|surge|flood)\ (?:in|of)\ (?:\w+\ )?(?:traffic|visitors|sign-?ups|users)
        | \b(?:d?dos\ attack|ddos|denial[- ]of[- ]service|botnet|bots\ (?:scrape|crawl|hammer|flood|attack)\w*|credential\ stuffing|brute[- ]force|syn\ flood|scrapers?|crawlers?)\b
        | \b(?:a|one)\ single\ (?:client|address|ip|customer|tenant)
        | \bone\ (?:client|address|customer|tenant)\ (?:hammers|floods|sends|uploaded|imports?|imported)
        | \b(?:black\ friday|went\ viral|push\ notification\ to|organic\ growth)\b
    """,
    "an account or a licence ran out": rf"""
        \baccount\b[^.\n]{{0,20}}\b(?:suspended|closed|locked) | \bsuspended\ (?:our|the)\b | \bunpaid\b | \boverdue\ invoice
        | \b(?:licen[cs]e|subscription|domain){_FEW}(?:expired|lapsed|ran\ out|suspended) | \bregistrar\b
        | \b(?:{_VENDOR}|account|cloud|plan|sending|daily|monthly)(?:'s)?\b[^.\n]{{0,40}}\b(?:quota|limit)\b[^.\n]{{0,40}}\b(?:exceeded|reached|exhausted|used\ up)
        | \b(?:api\ key|credentials?|password|access\ key|client\ secret)\b[^.\n]{{0,30}}\b(?:expired|rotated|revoked)
    """,
    "somebody did it by hand": rf"""
        \b{_DID}\b[^.\n]{{0,40}}\b(?:by\ hand|by\ mistake|by\ accident|accidentally|manually)
        | \b(?:by\ mistake|by\ accident|accidentally|manually)\W+{_DID}\b
        | \b{_WHO}(?:\ \w+){{0,3}}?\ {_DID}\b
    """,
}
_PATTERNS = {cause: re.compile(pattern, re.IGNORECASE | re.VERBOSE) for cause, pattern in _CAUSES.items()}


def told_cause(text: str) -> str:
    """The first such cause that an incident's words tell of, in words; empty when they tell of none."""
    return next((cause for cause, pattern in _PATTERNS.items() if pattern.search(text[:_READ])), "")
