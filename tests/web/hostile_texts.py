"""Texts that somebody might put where a page, a table or a terminal shows them, to be more than a text there.

All are our own. Whatever would run says `ran(…)`: a page in which `window.ran` was called has failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

TEXTS: tuple[str, ...] = (
    # Elements and what ends them.
    "<script>ran(1)</script>",
    "</script><script>ran(2)</script>",
    "<SCRIPT SRC=//evil.test/a.js></SCRIPT>",
    "<scr<script>ipt>ran(3)</scr</script>ipt>",
    "<script/x>ran(4)</script\t\n>",
    "</title><script>ran(5)</script>",
    "</textarea><script>ran(6)</script>",
    "</select></option></table><script>ran(7)</script>",
    "<noscript><p title=\"</noscript><img src=x onerror=ran(8)>\">",
    "<!--><img src=x onerror=ran(9)>-->",
    "<![CDATA[<img src=x onerror=ran(10)>]]>",
    "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hosts'>]><a>&b;</a>",
    "<plaintext>",
    "<xmp><listing><style>",
    # Handlers.
    "<img src=x onerror=ran(11)>",
    "<img/src='x'/onerror='ran(12)'>",
    "<body onload=ran(13)>",
    "<details open ontoggle=ran(14)>",
    "<input autofocus onfocus=ran(15)>",
    "<video><source onerror=ran(16)></video>",
    "<marquee onstart=ran(17)>",
    "\" autofocus onfocus=\"ran(18)",
    "' onmouseover='ran(19)",
    "x onfocus=ran(20) autofocus tabindex=1",
    "`onmouseover=ran(21)",
    "\"><img src=x onerror=ran(22)>",
    "'><img src=x onerror=ran(23)>",
    "/><img src=x onerror=ran(24)>",
    # Other documents in a document.
    "<svg onload=ran(25)>",
    "<svg><script>ran(26)</script></svg>",
    "<svg><a xlink:href='javascript:ran(27)'><text>x</text></a></svg>",
    "</text></svg><svg onload=ran(28)>",
    "</desc><script>ran(29)</script>",
    "<svg><use href='data:image/svg+xml,<svg onload=ran(30)>#x'></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=ran(31)>",
    "<iframe srcdoc='<script>parent.ran(32)</script>'></iframe>",
    "<object data='javascript:ran(33)'></object>",
    "<base href='//evil.test/'>",
    "<meta http-equiv=refresh content='0;url=//evil.test/'>",
    "<link rel=stylesheet href='//evil.test/a.css'>",
    "<form action='//evil.test/'><button>Sign in</button></form>",
    "<style>@import '//evil.test/a.css'</style>",
    "<p style='position:fixed;inset:0'>over all</p>",
    "<a id=frame name=page href=x>clobber</a>",
    # Addresses.
    "javascript:ran(34)",
    "java\tscript:ran(35)",
    "data:text/html,<script>ran(36)</script>",
    "//evil.test/",
    "/\\evil.test/",
    "https://evil.test@hub.test/",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "C:\\con.pdf",
    # Languages of templates, of questions, of shells, of writing.
    "{{ 7 * 7 }}{% raw %}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "%(ran)s %s %n %1$s {0}",
    "{{ frame.__class__.__mro__ }}",
    "' OR '1'='1'; DROP TABLE web_sent_forms; --",
    "\" } ; DROP ALL ; # \\u0022",
    "'''\"\"\"\\\\' . <http://evil.test/a> <b> \"c\"",
    "$(touch ran) `touch ran` ; touch ran | touch ran",
    "&lt;img src=x onerror=ran(37)&gt; &amp;amp; &#60; &#x3c; &quot;",
    "\\x3cscript\\x3eran(38)\\x3c/script\\x3e \\u003cscript\\u003e",
    "%3Cscript%3Eran(39)%3C/script%3E",
    "+ADw-script+AD4-ran(40)+ADw-/script+AD4-",
    "\uff1cscript\uff1eran(41)\uff1c/script\uff1e",
    # Letters that are not what they seem, and what has no look of its own.
    "safe\u202egnp.exe\u202c \u2066\u2067isolated\u2069",
    "zero\u200bwidth\u200d\u2060\ufeffjoined",
    "\u0430dmin and admin, p\u0430ypal",
    "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309",
    "\U0001f469\u200d\U0001f52c \U0001f3f4\U000e0067\U000e007f \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "line one\u2028line two\u2029line three\u0085four",
    "\u001b[2J\u001b[31mred\u001b[0m \u001b]8;;//evil.test/\u0007link\u001b]8;;\u0007 \u009b1m",
    "bell\u0007 back\u0008 form\u000c escape\u001b delete\u007f",
    "\ufffe\uffff\ufdd0 no letters",
    # Headers, and what programs of offices take for a formula.
    "a\r\nSet-Cookie: ran=1\r\n\r\n<script>ran(42)</script>",
    "a\nContent-Security-Policy: default-src *",
    "=1+1",
    "=HYPERLINK(\"//evil.test/\",\"click\")",
    "+1+cmd|' /C calc'!A0",
    "-1+1",
    "@SUM(1+1)",
    "\t=1+1",
    # JSON and JSON-LD.
    "\"}]}</script><script>ran(43)</script>",
    "{\"@context\": \"//evil.test/\", \"__proto__\": {\"x\": 1}}",
    # Long.
    "W" * 120,
    "<b>" * 30,
)  # fmt: skip

# What is one word of a kind in every text, so that a harmless one has the same words and lines.
_ODD = re.compile(r"[^A-Za-z0-9 \n]")


def harmless(text: str) -> str:
    r"""Return a text as long, with as many words, that means nothing anywhere.

    >>> harmless("<b> a\n'")
    'xbx a\nx'
    """
    return _ODD.sub("x", text)


def pieces(most: int) -> list[str]:
    """Return all texts, joined to pieces of a length at most; no text is cut, and one that is longer stands alone."""
    found = [""]
    for text in TEXTS:
        joined = f"{found[-1]} | {text}" if found[-1] else text
        if len(joined) <= most or not found[-1]:
            found[-1] = joined
        else:
            found.append(text)
    return found


def in_turn(most: int) -> Iterator[str]:
    """Yield the pieces for ever, one after another."""
    while True:
        yield from pieces(most)
