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
_HOSTERS = "hetzner|ovh(?:cloud)?|digitalocean|linode|scaleway|equinix|vultr|heroku|vercel|netlify"
_VENDOR = rf"""(?:provider|vendor|third[- ]party|carrier|isp|aws|amazon|gcp|google\ cloud|azure|{_HOSTERS}|cloudflare|fastly|akamai|github|gitlab\.com|
    twilio|sendgrid|mailgun|stripe|paypal|adyen|okta|auth0|datadog|pagerduty|s3|ec2|rds|lets\ ?encrypt|docker\ ?hub|slack|
    data\ ?cent(?:er|re)|supplier|partner\ bank|acquirer)(?:'s)?"""
#: Those of them on whose machines and lines it runs, and who tell of their own failures.
_HOST = rf"(?:(?:cloud|hosting|network)\ )?(?:provider|vendor|carrier|isp|hoster|aws|amazon|gcp|google\ cloud|azure|{_HOSTERS}|data\ ?cent(?:er|re)|colo)(?:'s)?"
_TOLD = r"(?:confirm\w*|acknowledg\w*|admit\w*|announc\w*|report(?:s|ed|ing)?|investigat\w*|says|shows|tells?\ us|told\ us|writes|wrote)"
_PLACE = r"(?:zones?|regions?|az\d?|(?:[a-z]{2}-)+[a-z]+-?\d[a-z]?|data\ ?cent(?:er|re)s?|connectivity|racks?|power)"
#: What a person types at production, and no program of a commit: statements, cluster and cloud commands, calls of a cloud's own interface.
_COMMAND = r"""(?:truncate|drop\ (?:table|database|schema|index|user)|delete\ from|update\ \w+\ set|alter\ (?:table|system|user)|flush(?:all|db)
    |kubectl\ \w+|helm\ (?:uninstall|delete|upgrade|rollback)|terraform\ (?:destroy|apply|state)|rm\ -\w+|systemctl\ \w+|iptables|shutdown|kill\ -\d+|killall
    |drop(?:db|user)|(?-i:(?:Delete|Terminate|Modify|Detach|Revoke|Deregister|Disable|Reboot|Stop|Put|Update|Remove|Change)[A-Z]\w+))"""
_RECORD = r"""(?:(?:pg|mysql)?_?audit(?:d|\ ?(?:logs?|trail|record|history|events?|entry)|(?=:))|cloud\ ?trail
    |(?:activity|admin|sudo|bastion)\ logs?|session\ recordings?)"""
_TYPED = r"(?:bash|shell|command|console|psql|sudo)[_\ ]history"
#: Where people type, and a person by name: "j.wong", "anna@corp", "m_ortiz", "Priya"; not what deploys.
_SEAT = r"(?:bastion|laptop|psql|console|jump\ ?(?:host|box)|workstation|terminal)"
_NAMED = r"""(?!\S*(?:bot\b|deploy|\bci\b|svc|service|system|argo|flux|jenkins|terraform|github|gitlab|runner|pipeline|helm))
    (?:@?[a-z][\w-]*(?:[.@_][\w-]+)+|(?:user|colleague)\ \w+|(?-i:[A-Z][a-z]+)\b)"""
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
        | \bstatus\ (?:page|site|board|dashboard|feed)\b[^.\n]{{0,60}}\b(?:{_FAILED}|loss|impaired|elevated|increased|confirms?|reports?) | \b(?:service\ )?health\ (?:dashboard|feed)\b
        | \b{_HOST}\ (?:incident|maintenance|outage)\ (?:feed|notice|report|ticket|id|number|page)\b
        | \b{_HOST}(?:\ \w+)?(?:\ (?:page|dashboard|console|feed|portal|support|engineers?))?\ (?:has\ |have\ |is\ )?(?:{_TOLD}|notice|bulletin|advisory)\b[^.\n]{{0,60}}\b(?:{_PLACE}|{_FAILED}|impaired|impairment|elevated|increased)\b
        | \b(?:confirmed|reported|acknowledged|announced|according)\ (?:by|to)\ (?:the\ |our\ |their\ )?{_HOST}\b
        | \b(?:power\ (?:loss|failure|outage|cut)|loss\ of\ power|electricity\ cut|(?:fib(?:re|er)|cable)\ cut|cut\ (?:the|a)\ (?:fib(?:re|er)|cable)|cooling\ fail\w*)\b
    """,
    "hardware failed": r"""
        \bmachine\ check\b | \bEDAC\b | \bDIMM\b | \bIPMI\b | \bPSU\b | \bbad\ (?:ram|memory\ module|disk|sectors?)\b
        | \buncorrect(?:able|ed)\b[^.\n]{0,20}\b(?:memory|ecc|error) | \bhardware\ (?:fault|failure|error)
        | \b(?:disk|drive|power\ supply|nic|switch|router|fan)\ (?:has\ |had\ )?(?:failed|died|was\ replaced)
        | \bfailed\ (?:disk|drive|power\ supply|nic|switch)\b | \bin\ rack\ \w+ | \bSMART\ error | \bnoisy\ neighbou?r
    """,
    "another tenant took the machine": r"""
        \b(?:cpu|vcpu|processor)[- ]steal\b | \bsteal[- ](?:time|cpu)\b | \bmode="?steal\b | \b(?:%st|st%)(?!\w) | \b(?:stolen|ready)[- ](?:cpu|vcpu)\ ?time | \bv?cpu[- ]ready\ (?:time|at|is|\d)
        | \bsteal\b\W+(?:\w+\W+){0,4}?\d+(?:\.\d+)?\ ?(?:%|percent) | \d+(?:\.\d+)?\ ?%\ (?:(?:of\ )?cpu\ )?(?:steal\b|stolen\b)
        | \b(?:top|vmstat|mpstat|sar)\b[^.\n]{0,40}\bst\b
        | \b(?:(?:other|another|neighbou?ring)(?:\ \w+)?\ (?:tenants?|guests?|customers?|vms?|virtual\ machines?|workloads?)|neighbou?rs?)\b[^.\n]{0,50}
            \b(?:same|shared|our|that|this|physical|underlying)\ (?:\w+\ )?(?:host|hypervisor|machine|hardware|box|blade|metal)\b
        | \bsame\ physical\ (?:host|machine|server|box)\b | \b(?:host|machine|hardware|server)\ (?:below|beneath|underneath|under)\ (?:our|the|these|those)\ (?:\w+\ )?(?:vms?|instances?|guests?)\b
        | \b(?:moving|moved|migrating|migrated)\b[^.\n]{0,30}\b(?:vms?|instances?|guests?|it|them)\b[^.\n]{0,40}\b(?:cure|help|fixe|solve|relieve)[sd]
        | \b(?:host|hypervisor|hardware|blade|metal)\b[^.\n]{0,40}\bshared\ with\ (?:other|another)\b
        | \b(?:host|hypervisor)s?\b[^.\n]{0,30}\b(?:overcommitted|over-committed|oversubscribed|over-subscribed|oversold)\b
        | \b(?:overcommitted|oversubscribed|oversold)\ (?:\w+\ )?(?:host|hypervisor)s? | \bhypervisor\ (?:contention|maintenance|reboot(?:ed)?|was\ (?:rebooted|patched|drained))
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
        | \bL[347]\ (?:flood|attack) | \blayer[- ]?[347]\ (?:flood|attack) | \b(?:http|udp|icmp|ack|dns|login)\ floods?\b | \b(?:amplification|reflection|volumetric|carpet)[- ](?:bombing\ )?attack
        | \bpassword[- ](?:spray|guess)\w* | \bsyn\ packets\b | \buser[- ]agents?\W+(?:\w+\ ){0,2}?(?:random|made[- ]up|fake|forge|rotat|spoof)\w*
        | \b(?:tried|tested|guessed|checked|posted|scraped|hammered|flooded|crawled|hit)\b[^.\n]{0,20}\bby\ (?:\w+\ )?(?:bots?|scripts)\b | \b(?:card|gift\ card)\ (?:testing|cracking)\b | \bstolen\ (?:\w+\ )?cards?\b | \b(?:residential|rotating)\ prox(?:y|ies)
        | \b(?:from|out\ of|across)\ (?:(?:some|about|around|over|roughly|more\ than|at\ least|nearly)\ )?
            (?:(?:\d[\d.,]*|\w+)\ (?:hundred|thousand|million)|\d[\d.,]*\ ?[km]|\d[\d.,]*\d{2}|(?:tens\ of\ |hundreds\ of\ )?(?:thousands|hundreds|millions)\ of)\ (?:\w+\ ){0,2}?(?:ips?|ip\ addresses|addresses|countries|asns?|networks|proxies|bots)\b
        | \bfrom\ (?:\w+\ )?(?:\d{2,}|dozens\ of)\ (?:countries|asns?)\b
        | \b(?:leaked|breached|stolen|dumped)\ (?:(?:user|login|e-?mail|account|and|names?)\ )*(?:(?:passwords?|credentials?|combo)\ )?(?:lists?|dumps?|databases?|pairs|combos?)\b
        | \b(?:passwords?|credentials?|logins)\b[^.\n]{0,30}\b(?:from|of|in)\ (?:an?\ |the\ |some\ |known\ |public\ |old\ |earlier\ )+(?:\w+\ ){0,2}?(?:leaks?|breach(?:es)?|dumps?|combo\ lists?)\b
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
        | \b{_RECORD}\b(?=[^\n]{{0,120}}?\b{_COMMAND}\b)[^\n]{{0,160}}?\b(?:(?:by|user|principal|actor|identity|session\ of|as|from)\W+{_NAMED}|{_WHO}|{_SEAT})\b
        | \b{_TYPED}\b[^\n]{{0,120}}?\b{_COMMAND}
        | \b{_RECORD}\b[^\n]{{0,80}}?\b{_DID}\b[^.\n]{{0,50}}\bby\ {_NAMED}
        | \b{_COMMAND}\b[^\n]{{0,60}}?\b(?:by|from)\ (?:an?\ |the\ |her\ |his\ |their\ )?(?:{_WHO}|{_SEAT})\b
        | \b{_WHO}(?:\ \w+){{0,3}}?\ (?:typed|executed|issued|pasted)\b[^.\n]{{0,60}}\b{_COMMAND}
        | \b{_DID}\b[^.\n]{{0,50}}\b(?:in|through|via|using)\ (?:the\ |their\ |our\ )?(?:\w+\ )?(?:(?:aws|cloud|gcp|google|azure|management|provider'?s?|vendor'?s?|registrar'?s?|web)\ (?:web\ )?console|bastion|psql|control\ panel)\b
    """,
}
_PATTERNS = {cause: re.compile(pattern, re.IGNORECASE | re.VERBOSE) for cause, pattern in _CAUSES.items()}


def told_cause(text: str) -> str:
    """The first such cause that an incident's words tell of, in words; empty when they tell of none."""
    return next((cause for cause, pattern in _PATTERNS.items() if pattern.search(text[:_READ])), "")
