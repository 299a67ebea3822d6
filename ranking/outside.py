"""Incidents whose own words tell of a cause that is no commit: a certificate that ran out, a full disk, a provider's outage.

Does: look for plain signs of such causes in an incident's words.
Does not: rule out a commit: one may fill a disk too. How much it speaks against all of them is weighed in `ranking.scorer`.
"""

from __future__ import annotations

import re

#: Characters of an incident that are looked at: behind them are logs, where such words stand by chance.
_READ = 4_000
_FEW = r"(?:\W+[\w'’]+){0,3}?\W+"
_DID = r"(?:deleted|dropped|rotated|revoked|changed|edited|removed|stopped|disabled|unplugged|closed)"
#: Cause -> what tells of it.
_CAUSES: dict[str, str] = {
    "a certificate ran out": rf"\bcert\w*{_FEW}expired|\bexpired{_FEW}cert|\bcert\w*{_FEW}(?:ran out|after its notAfter)|\bnotAfter\b",
    "a disk is full": r"""
        no\ space\ left | \bENOSPC\b | \bout\ of\ (?:disk|inodes)
        | \b(?:disk|volume|filesystem|partition|inodes?)\b(?:\W+\w+){0,4}?\W+(?:full|exhausted|9\d(?:\.\d+)?\ ?%|100\ ?%)
    """,
    "a provider failed": r"""
        \b(?:provider|vendor|third[- ]party|carrier|isp|aws|gcp|azure|cloudflare|fastly|data\ ?cent(?:er|re))(?:'s)?\b[^.\n]{0,60}\b
            (?:outage|incident|brownout|degraded|unavailable|unreachable|down)\b
        | \b(?:region|availability\ zone|cloud)(?:'s)?\b[^.\n]{0,40}\b(?:outage|brownout|incident|without\ power)\b
        | \boutage\ (?:of|at|in)\b[^.\n]{0,40}\b(?:provider|vendor|region|zone|cloud|data\ ?cent(?:er|re))
        | \bstatus\ page\b[^.\n]{0,60}\b(?:confirms?|reports?|says|shows|incident|outage|loss)
        | \b(?:power\ (?:loss|failure|outage|cut)|loss\ of\ power|fib(?:re|er)\ cut)\b
    """,
    "hardware failed": r"""
        \bmachine\ check\b | \bEDAC\b | \bDIMM\b | \buncorrect(?:able|ed)\b[^.\n]{0,20}\b(?:memory|ecc|error)
        | \bhardware\ (?:fault|failure|error) | \bfailed\ (?:disk|drive|power\ supply|nic|switch)\b
        | \b(?:disk|drive|power\ supply|nic|switch|router)\ (?:has\ |had\ )?(?:failed|died|was\ replaced)
        | \bin\ rack\ \w+
    """,
    "traffic grew": r"""
        \b(?:traffic|load|visitors|rps|qps|requests(?:\ (?:per|a)\ (?:second|minute))?|sessions|sign-?ups)\W+
            (?:(?:is|are|was|were|at|went|grew|up|to|now|reached|hit|rose)\W+){0,3}
            (?:\w+\ times|\d+(?:\.\d+)?\ ?x\b|\w+fold\b)
        | \btraffic\ (?:spike|surge|flood) | \b(?:spike|surge|flood)\ (?:in|of)\ (?:\w+\ )?(?:traffic|visitors|sign-?ups|users)
        | \b(?:d?dos\ attack|ddos|denial[- ]of[- ]service|botnet|credential\ stuffing|brute[- ]force|syn\ flood|scrapers?|crawlers?)\b
        | \b(?:a|one)\ single\ (?:client|address|ip|customer|tenant) | \bone\ (?:client|address|customer|tenant)\ (?:hammers|floods|sends)
    """,
    "an account or a licence ran out": r"""
        \baccount\b[^.\n]{0,20}\b(?:suspended|closed|locked) | \bsuspended\ (?:our|the)\b | \bunpaid\b | \boverdue\ invoice
        | \b(?:licen[cs]e|subscription|domain)\b(?:\W+\w+){0,3}?\W+(?:expired|lapsed|ran\ out|suspended) | \bregistrar\b
        | \b(?:provider|vendor|account|cloud|sending|daily|monthly)(?:'s)?\b[^.\n]{0,40}\bquota\b[^.\n]{0,40}\b(?:exceeded|reached|exhausted)
        | \b(?:api\ key|credentials?|password|access\ key|client\ secret)\b[^.\n]{0,30}\b(?:expired|rotated|revoked)
    """,
    "somebody did it by hand": rf"""
        \b{_DID}\b[^.\n]{{0,40}}\b(?:by\ hand|by\ mistake|by\ accident|accidentally|manually)
        | \b(?:by\ mistake|by\ accident|accidentally|manually)\W+{_DID}\b
        | \b(?:engineer|operator|dba|admin(?:istrator)?)\b(?:\W+\w+){{0,3}}?\W+{_DID}\b
    """,
}
_PATTERNS = {
    cause: re.compile(pattern, re.IGNORECASE | (re.VERBOSE if "\n" in pattern else 0))
    for cause, pattern in _CAUSES.items()
}


def told_cause(text: str) -> str:
    """The first such cause that an incident's words tell of, in words; empty when they tell of none."""
    return next((cause for cause, pattern in _PATTERNS.items() if pattern.search(text[:_READ])), "")
