"""Programs that a sandbox must not get in the way of: varied, deterministic, each with the value of its last line."""

# ruff: noqa: E501
from __future__ import annotations

import asyncio
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rookery.tools.sandbox import Outcome, Program, Sandbox

HARMLESS: dict[str, str] = {
    "arithmetic": "7 * 6 - 3 ** 4 + 17 // 5 + 17 % 5",
    "big integers": "str(2 ** 521 - 1)[-20:]",
    "floats": "[0.1 + 0.2, 1e308 * 10 > 1, round(2.675, 2), 7.0 // 2]",
    "complex": "abs(3 + 4j)",
    "strings": "'rook'.upper().center(10, '*') + 'ery'[::-1] + ' a b '.strip().replace('a', 'x')",
    "f-strings": "x = 3.14159\nf'{x:.2f} {x!r:>10} {255:#x} {1000000:,}'",
    "unicode": "'naïve café ☃ 日本語 🦅'.encode('utf-8').decode('utf-8').title()",
    "bytes": "list(b'abc' + bytes([1, 2]))",
    "lists": "a = [3, 1, 2]\na.sort(reverse=True)\na += [a.pop(0)]\na",
    "dicts": "d = {'a': 1}\nd |= {'b': 2}\n{k: v * 2 for k, v in sorted(d.items())}",
    "sets": "sorted({1, 2, 3} ^ {2, 3, 4} | {9})",
    "tuples": "a, *b = (1, 2, 3)\n[a, b]",
    "slices": "list(range(20))[2:15:3]",
    "comprehensions": "[[i * j for j in range(3)] for i in range(3) if i % 2 == 0]",
    "sorting by key": "sorted(['bb', 'a', 'ccc'], key=lambda s: (-len(s), s))",
    "while with else": "n = 10\nwhile n > 3:\n    n -= 1\nelse:\n    n = -n\nn",
    "for with break": "for i in range(10):\n    if i == 4:\n        break\ni",
    "functions": "def f(a, /, b=2, *c, d=4, **e):\n    return [a, b, c, d, e]\nf(1, 3, 5, d=6, g=7)",
    "closures": "def counter():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n    return up\nc = counter()\n[c(), c(), c()]",
    "recursion": "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(18)",
    "lambda and map": "list(map(lambda x: x ** 2, filter(lambda x: x % 2, range(8))))",
    "generators": "def g(n):\n    for i in range(n):\n        yield i * i\nsum(g(10))",
    "generator send": "def g():\n    x = 0\n    while True:\n        x = (yield x) or x + 1\na = g()\n[next(a), a.send(10), next(a)]",
    "yield from": "def f():\n    yield from [1, 2]\n    yield from f2()\ndef f2():\n    yield 3\nlist(f())",
    "classes": "class A:\n    n = 0\n    def __init__(self, x):\n        self.x = x\n    def up(self):\n        self.x += 1\n        return self\nA(3).up().up().x",
    "inheritance": "class A:\n    def f(self):\n        return 'a'\nclass B(A):\n    def f(self):\n        return super().f() + 'b'\nB().f()",
    "multiple inheritance": "class A: pass\nclass B(A): pass\nclass C(A): pass\nclass D(B, C): pass\n[c.__name__ for c in D.__mro__]",
    "properties": "class A:\n    def __init__(self):\n        self._x = 1\n    @property\n    def x(self):\n        return self._x\n    @x.setter\n    def x(self, v):\n        self._x = v * 2\na = A()\na.x = 4\na.x",
    "class and static methods": "class A:\n    @classmethod\n    def make(cls):\n        return cls.__name__\n    @staticmethod\n    def two():\n        return 2\n[A.make(), A.two()]",
    "operators": "class V:\n    def __init__(self, x):\n        self.x = x\n    def __add__(self, o):\n        return V(self.x + o.x)\n    def __eq__(self, o):\n        return self.x == o.x\nV(1) + V(2) == V(3)",
    "slots": "class A:\n    __slots__ = ('x',)\na = A()\na.x = 1\ntry:\n    a.y = 2\nexcept AttributeError:\n    r = 'no'\nr",
    "metaclass": "class M(type):\n    def __new__(m, n, b, d):\n        d['tag'] = n.lower()\n        return super().__new__(m, n, b, d)\nclass A(metaclass=M): pass\nA.tag",
    "descriptors": "class D:\n    def __get__(self, o, t):\n        return 42\nclass A:\n    d = D()\nA().d",
    "iterators": "class C:\n    def __init__(self, n):\n        self.n = n\n    def __iter__(self):\n        return self\n    def __next__(self):\n        if self.n == 0:\n            raise StopIteration\n        self.n -= 1\n        return self.n\nlist(C(4))",
    "context managers": "class C:\n    log = []\n    def __enter__(self):\n        self.log.append('in')\n        return self\n    def __exit__(self, *a):\n        self.log.append('out')\n        return True\nwith C() as c:\n    raise ValueError\nc.log",
    "exceptions": "try:\n    {}['x']\nexcept KeyError as e:\n    r = repr(e)\nfinally:\n    r += '!'\nr",
    "exception chains": "try:\n    try:\n        1 / 0\n    except ZeroDivisionError as e:\n        raise ValueError('x') from e\nexcept ValueError as e:\n    r = type(e.__cause__).__name__\nr",
    "exception groups": "try:\n    raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\nexcept* ValueError as g:\n    r = len(g.exceptions)\nexcept* TypeError:\n    r += 10\nr",
    "own exceptions": "class E(Exception):\n    def __init__(self, code):\n        super().__init__(f'code {code}')\n        self.code = code\ntry:\n    raise E(7)\nexcept E as e:\n    r = [str(e), e.code]\nr",
    "assert": "try:\n    assert 1 == 2, 'not equal'\nexcept AssertionError as e:\n    r = str(e)\nr",
    "match": "def f(x):\n    match x:\n        case [a, b]:\n            return a + b\n        case {'k': v}:\n            return v\n        case str():\n            return 's'\n        case _:\n            return None\n[f([1, 2]), f({'k': 5}), f('x'), f(1)]",
    "walrus": "r = [y for x in range(5) if (y := x * 2) > 4]\nr",
    "decorators": "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def g(*a):\n        return f(f(*a))\n    return g\n@twice\ndef inc(x):\n    return x + 1\n[inc(1), inc.__name__]",
    "dataclasses": "from dataclasses import dataclass, field, asdict\n@dataclass(order=True)\nclass P:\n    x: int\n    y: list = field(default_factory=list)\nasdict(max(P(1), P(2, [3])))",
    "frozen dataclasses": "from dataclasses import dataclass, replace\n@dataclass(frozen=True, slots=True)\nclass P:\n    x: int\n    y: int = 0\nrepr(replace(P(1), y=5))",
    "enum": "from enum import Enum, auto\nclass C(Enum):\n    RED = auto()\n    BLUE = auto()\n[c.name for c in C] + [C(2).name]",
    "named tuples": "from collections import namedtuple\nP = namedtuple('P', 'x y')\n[P(1, 2).y, P(1, 2)._asdict()]",
    "typing": "from typing import Generic, TypeVar, Optional, Protocol\nT = TypeVar('T')\nclass Box(Generic[T]):\n    def __init__(self, x: T) -> None:\n        self.x = x\nBox[int](3).x",
    "abstract classes": "from abc import ABC, abstractmethod\nclass A(ABC):\n    @abstractmethod\n    def f(self): ...\ntry:\n    A()\nexcept TypeError:\n    r = 'abstract'\nr",
    "math": "import math\n[math.gcd(12, 18), math.isqrt(99), round(math.sin(1), 10), math.comb(10, 3), math.factorial(20)]",
    "cmath": "import cmath\nround(abs(cmath.exp(1j * cmath.pi) + 1), 10)",
    "decimal": "from decimal import Decimal, getcontext\ngetcontext().prec = 30\nstr(Decimal(1) / Decimal(7))",
    "fractions": "from fractions import Fraction\nstr(sum(Fraction(1, n) for n in range(1, 10)))",
    "statistics": "import statistics\n[statistics.mean([1, 2, 3, 4]), statistics.median([3, 1, 2]), round(statistics.stdev([1, 2, 4]), 6)]",
    "random": "import random\nr = random.Random(7)\n[r.randint(1, 100) for _ in range(5)]",
    "seeded module random": "import random\nrandom.seed(3)\nx = [1, 2, 3, 4, 5]\nrandom.shuffle(x)\nx",
    "itertools": "import itertools as i\n[list(i.permutations('abc', 2))[:3], list(i.accumulate([1, 2, 3])), list(i.islice(i.count(5), 3)), [len(list(g)) for _, g in i.groupby('aabbb')]]",
    "functools": "import functools\n@functools.lru_cache\ndef f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\n[f(80), functools.reduce(lambda a, b: a * b, range(1, 8))]",
    "collections": "from collections import Counter, defaultdict, deque, OrderedDict, ChainMap\nd = defaultdict(list)\nd['a'].append(1)\nq = deque([1, 2, 3], maxlen=2)\n[Counter('banana').most_common(2), dict(d), list(q), ChainMap({'a': 1}, {'b': 2})['b']]",
    "heapq": "import heapq\nh = [5, 1, 4]\nheapq.heapify(h)\nheapq.heappush(h, 0)\n[heapq.heappop(h), heapq.nlargest(2, h)]",
    "bisect": "import bisect\na = [1, 3, 5]\nbisect.insort(a, 4)\n[a, bisect.bisect_left(a, 3)]",
    "operator": "import operator as o\nlist(map(o.itemgetter(1), [(1, 2), (3, 4)])) + [o.add(1, 2)]",
    "array": "import array\na = array.array('d', [1.5, 2.5])\na.append(3)\na.tolist()",
    "struct": "import struct\n[struct.pack('>IH', 1, 2).hex(), struct.unpack('<f', struct.pack('<f', 0.5))[0]]",
    "re": "import re\n[re.findall(r'(\\w+)@(\\w+)', 'a@b c@d'), re.sub(r'\\d+', lambda m: str(int(m[0]) * 2), 'x1y22'), bool(re.fullmatch(r'(?P<y>\\d{4})-\\d\\d', '2024-05'))]",
    "string": "import string\nstring.Template('$a is ${b}').substitute(a='x', b='y') + string.ascii_lowercase[:3]",
    "textwrap": "import textwrap\ntextwrap.fill('the quick brown fox jumps over the lazy dog', 15)",
    "difflib": "import difflib\n[difflib.get_close_matches('appel', ['ape', 'apple', 'peach']), round(difflib.SequenceMatcher(None, 'abcd', 'bcde').ratio(), 3)]",
    "unicodedata": "import unicodedata\n[unicodedata.name('é'), unicodedata.normalize('NFD', 'é') == 'é']",
    "json": "import json\njson.loads(json.dumps({'a': [1, None, True, 'ü'], 'b': {'c': 1.5}}, sort_keys=True, indent=1))",
    "csv": "import csv, io\nlist(csv.DictReader(io.StringIO('a,b\\n1,\"x, y\"\\n2,z\\n')))",
    "configparser": "import configparser\nc = configparser.ConfigParser()\nc.read_string('[s]\\nk = v\\n')\nc['s']['k']",
    "tomllib": "import tomllib\ntomllib.loads('a = 1\\n[b]\\nc = [1, 2]\\n')",
    "xml": "import xml.etree.ElementTree as E\nr = E.fromstring('<a><b x=\"1\">t</b><b x=\"2\"/></a>')\n[b.get('x') for b in r.iter('b')]",
    "html": "import html\nfrom html.parser import HTMLParser\nclass P(HTMLParser):\n    tags = []\n    def handle_starttag(self, t, a):\n        self.tags.append(t)\nP().feed('<p><b>x</b></p>')\n[html.escape('<&>'), P.tags]",
    "urllib.parse": "from urllib.parse import urlparse, parse_qs, quote\n[urlparse('https://a.b/c?d=e#f').netloc, parse_qs('x=1&x=2'), quote('a b/ü')]",
    "datetime": "from datetime import datetime, timedelta, date, timezone\n[(datetime(2024, 2, 28) + timedelta(days=2)).isoformat(), date(2024, 5, 6).strftime('%A'), datetime.fromisoformat('2024-01-01T12:00:00+00:00').timestamp(), (date(2025, 1, 1) - date(2024, 1, 1)).days]",
    "zoneinfo": "from datetime import datetime\nfrom zoneinfo import ZoneInfo\n[str(datetime(2024, m, 1, tzinfo=ZoneInfo('Europe/Paris')).utcoffset()) for m in (1, 7)]",
    "calendar": "import calendar\n[calendar.isleap(2024), calendar.monthrange(2024, 2), calendar.month(2024, 2).splitlines()[0].strip()]",
    "time": "import time\nt = time.perf_counter()\ntime.sleep(0.01)\ntime.perf_counter() - t > 0.005 and time.time() > 1.6e9",
    "hashlib": "import hashlib, hmac\n[hashlib.sha256(b'abc').hexdigest()[:16], hashlib.md5(b'x').hexdigest()[:8], hashlib.blake2b(b'x').hexdigest()[:8], hmac.new(b'k', b'm', 'sha1').hexdigest()[:8]]",
    "base64": "import base64, binascii\n[base64.b64encode(b'rook').decode(), base64.urlsafe_b64decode('_-8=').hex(), binascii.crc32(b'x')]",
    "zlib": "import zlib, gzip, bz2, lzma\nd = b'abc' * 1000\n[zlib.decompress(zlib.compress(d)) == d, gzip.decompress(gzip.compress(d)) == d, bz2.decompress(bz2.compress(d)) == d, lzma.decompress(lzma.compress(d)) == d]",
    "secrets and uuid": "import secrets, uuid\n[len(secrets.token_hex(8)), uuid.uuid5(uuid.NAMESPACE_DNS, 'x.y').hex[:8], len(str(uuid.uuid4()))]",
    "pickle of its own": "import pickle\nclass P:\n    def __init__(self, x):\n        self.x = x\npickle.loads(pickle.dumps(P(3))).x",
    "copy": "import copy\na = [[1], [2]]\nb = copy.deepcopy(a)\nb[0].append(9)\n[a, b]",
    "ast": "import ast\n[type(n).__name__ for n in ast.walk(ast.parse('x = 1 + y'))][:4] + [ast.literal_eval('[1, {2: 3}]')[0]]",
    "inspect": "import inspect\ndef f(a, b: int = 2) -> str:\n    '''Doc.'''\n[str(inspect.signature(f)), inspect.getdoc(f), inspect.getsource(f).splitlines()[0]]",
    "eval and exec": "space = {}\nexec('def f(x):\\n    return x * 2', space)\neval('f(4) + 1', space)",
    "dis and code": "def f(x):\n    return x\n[f.__code__.co_varnames, f.__name__]",
    "logging": "import logging, io\ns = io.StringIO()\nlogging.basicConfig(stream=s, format='%(levelname)s %(message)s')\nlogging.warning('x %d', 3)\ns.getvalue()",
    "warnings": "import warnings\nwith warnings.catch_warnings(record=True) as w:\n    warnings.simplefilter('always')\n    warnings.warn('careful')\nstr(w[0].message)",
    "contextlib": "import contextlib, io\n@contextlib.contextmanager\ndef c():\n    yield 3\nwith c() as x, contextlib.suppress(KeyError), contextlib.redirect_stdout(io.StringIO()) as s:\n    print(x)\n    {}['a']\ns.getvalue()",
    "io": "import io\nb = io.BytesIO(b'a\\nb\\n')\n[l.decode() for l in b] + [io.StringIO('x').read()]",
    "files": "with open('notes.txt', 'w') as f:\n    f.write('one\\ntwo\\n')\nwith open('notes.txt') as f:\n    lines = f.readlines()\n[len(lines), lines[1].strip()]",
    "pathlib": "from pathlib import Path\np = Path('a/b')\np.mkdir(parents=True)\n(p / 'c.txt').write_text('x')\n[sorted(str(q) for q in Path('a').rglob('*')), p.exists(), (p / 'c.txt').stat().st_size]",
    "os": "import os\nos.makedirs('d/e')\nopen('d/f', 'w').close()\nos.rename('d/f', 'd/g')\n[sorted(os.listdir('d')), os.path.join('a', 'b'), os.path.splitext('x.tar.gz')[1]]",
    "tempfile": "import tempfile, os\nwith tempfile.TemporaryDirectory() as d:\n    with tempfile.NamedTemporaryFile(dir=d) as f:\n        f.write(b'x')\n        f.flush()\n        size = os.path.getsize(f.name)\n[size, os.path.exists(d)]",
    "shutil": "import shutil, os\nos.mkdir('s1')\nopen('s1/x', 'w').write('hello')\nshutil.copytree('s1', 's2')\nshutil.copy2('s2/x', 's2/y')\nshutil.rmtree('s1')\nsorted(os.listdir('s2'))",
    "zipfile": "import zipfile\nwith zipfile.ZipFile('z.zip', 'w', zipfile.ZIP_DEFLATED) as z:\n    z.writestr('a.txt', 'x' * 100)\nwith zipfile.ZipFile('z.zip') as z:\n    r = [z.namelist(), len(z.read('a.txt'))]\nr",
    "tarfile": "import tarfile, io\nb = io.BytesIO()\nwith tarfile.open(fileobj=b, mode='w:gz') as t:\n    i = tarfile.TarInfo('x')\n    i.size = 3\n    t.addfile(i, io.BytesIO(b'abc'))\nb.seek(0)\ntarfile.open(fileobj=b).getnames()",
    "sqlite3": "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('create table t(a, b)')\nc.executemany('insert into t values (?, ?)', [(1, 'x'), (2, 'y')])\nc.execute('select sum(a), max(b) from t').fetchall()",
    "sqlite3 in a file": "import sqlite3\nc = sqlite3.connect('db.sqlite')\nwith c:\n    c.execute('create table t(a)')\n    c.execute('insert into t values (7)')\nc.close()\nsqlite3.connect('db.sqlite').execute('select a from t').fetchone()",
    "glob and fnmatch": "import glob, fnmatch\nfor n in 'ab':\n    open(f'{n}.g', 'w').close()\n[sorted(glob.glob('*.g')), fnmatch.filter(['x.py', 'y.c'], '*.py')]",
    "threads": "import threading\nout = []\nlock = threading.Lock()\ndef f(i):\n    with lock:\n        out.append(i)\nts = [threading.Thread(target=f, args=(i,)) for i in range(10)]\n[t.start() for t in ts]\n[t.join() for t in ts]\nsorted(out)",
    "thread pool": "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as p:\n    r = list(p.map(lambda x: x * x, range(8)))\nr",
    "queue": "import queue, threading\nq = queue.Queue()\nthreading.Thread(target=lambda: [q.put(i) for i in range(3)]).start()\n[q.get(timeout=2) for _ in range(3)]",
    "asyncio.run": "import asyncio\nasync def f(x):\n    await asyncio.sleep(0.001)\n    return x * 2\nasync def main():\n    return await asyncio.gather(*(f(i) for i in range(4)))\nasyncio.run(main())",
    "asyncio queues and timeouts": "import asyncio\nasync def main():\n    q = asyncio.Queue()\n    async with asyncio.TaskGroup() as g:\n        g.create_task(q.put(5))\n        t = g.create_task(q.get())\n    try:\n        async with asyncio.timeout(0.01):\n            await asyncio.sleep(5)\n    except TimeoutError:\n        return [t.result(), 'late']\nasyncio.run(main())",
    "async generators": "import asyncio\nasync def g():\n    for i in range(3):\n        yield i\nasync def main():\n    return [i async for i in g()]\nasyncio.run(main())",
    "asyncio in threads": "import asyncio, time\nasync def main():\n    return await asyncio.to_thread(lambda: sum(range(100)))\nasyncio.run(main())",
    "contextvars": "import contextvars\nv = contextvars.ContextVar('v', default=1)\nc = contextvars.copy_context()\nc.run(v.set, 5)\n[v.get(), c[v]]",
    "weakref and gc": "import weakref, gc\nclass A: pass\na = A()\nr = weakref.ref(a)\ndel a\ngc.collect()\nr() is None",
    "signal handlers": "import signal\nseen = []\nsignal.signal(signal.SIGALRM, lambda *a: seen.append(1))\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\nsignal.pause()\nseen",
    "ctypes": "import ctypes\nclass P(ctypes.Structure):\n    _fields_ = [('x', ctypes.c_int), ('y', ctypes.c_double)]\n[ctypes.sizeof(P), P(3, 1.5).x, ctypes.c_uint8(300).value]",
    "mmap": "import mmap\nm = mmap.mmap(-1, 4096)\nm.write(b'abc')\nm.seek(0)\nm.read(3).decode()",
    "select": "import os, select\nr, w = os.pipe()\nos.write(w, b'x')\n[bool(select.select([r], [], [], 1)[0]), os.read(r, 1).decode()]",
    "socketpair": "import socket\na, b = socket.socketpair()\na.sendall(b'hi')\nb.recv(2).decode()",
    "argparse": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--n', type=int, default=2)\np.parse_args(['--n', '5']).n",
    "shlex": "import shlex\nshlex.split('a \"b c\" d')",
    "pprint": "import pprint\npprint.pformat({'b': 1, 'a': [1, 2]})",
    "graphlib": "from graphlib import TopologicalSorter\nlist(TopologicalSorter({'c': {'b'}, 'b': {'a'}}).static_order())",
    "types": "import types\nn = types.SimpleNamespace(a=1)\nn.b = 2\n[vars(n), types.MappingProxyType({'x': 1})['x']]",
    "unittest": "import unittest, io\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(1, 1)\nr = unittest.TextTestRunner(stream=io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(T))\n[r.testsRun, r.wasSuccessful()]",
    "doctest": "import doctest\ndef f(x):\n    '''\n    >>> f(2)\n    4\n    '''\n    return x * 2\ndoctest.testmod().failed",
    "email": "from email.message import EmailMessage\nm = EmailMessage()\nm['Subject'] = 'hi ü'\nm.set_content('body')\nm['Subject']",
    "locale and encodings": "'ü'.encode('latin-1').hex() + 'ü'.encode('utf-16-le').hex() + '日'.encode('shift_jis').hex()",
    "platform": "import sys, platform\n[sys.version_info[0], platform.system(), sys.byteorder]",
    "importlib": "import importlib\nimportlib.import_module('colorsys').rgb_to_hsv(1, 0, 0)",
    "own module": "with open('mine.py', 'w') as f:\n    f.write('def f():\\n    return 5\\n')\nimport mine\nmine.f()",
    "print": "print('a', 1, None, sep='-', end='!\\n')\nimport sys\nprint('warned', file=sys.stderr)\nNone",
    "printing much": "for i in range(2000):\n    print(i, 'x' * 50)\nNone",
    "sieve": "def primes(n):\n    s = bytearray([1]) * (n + 1)\n    s[:2] = b'\\0\\0'\n    for i in range(2, int(n ** 0.5) + 1):\n        if s[i]:\n            s[i * i::i] = bytes(len(s[i * i::i]))\n    return [i for i in range(n + 1) if s[i]]\nprimes(10_000)[-3:]",
    "matrix": "a = [[1, 2], [3, 4]]\n[[sum(x * y for x, y in zip(r, c)) for c in zip(*a)] for r in a]",
    "shortest paths": "import heapq\ng = {'a': {'b': 1, 'c': 4}, 'b': {'c': 2, 'd': 6}, 'c': {'d': 3}, 'd': {}}\nd, q = {'a': 0}, [(0, 'a')]\nwhile q:\n    w, n = heapq.heappop(q)\n    for m, x in g[n].items():\n        if w + x < d.get(m, 99):\n            d[m] = w + x\n            heapq.heappush(q, (d[m], m))\nd",
    "eight queens": "def solve(n, cols=()):\n    if len(cols) == n:\n        return 1\n    return sum(solve(n, cols + (c,)) for c in range(n) if all(c != k and abs(c - k) != len(cols) - i for i, k in enumerate(cols)))\nsolve(6)",
    "sudoku row": "from itertools import product\nsum(1 for p in product((0, 1), repeat=8) if sum(p) == 4)",
    "text statistics": "t = 'the cat and the hat and the bat'\nc = {}\nfor w in t.split():\n    c[w] = c.get(w, 0) + 1\nsorted(c.items(), key=lambda kv: (-kv[1], kv[0]))[:2]",
    "roman numerals": "def r(n):\n    out = ''\n    for v, s in ((10, 'X'), (9, 'IX'), (5, 'V'), (4, 'IV'), (1, 'I')):\n        while n >= v:\n            out += s\n            n -= v\n    return out\n[r(n) for n in (4, 9, 14, 28)]",
    "base conversion": "def b(n, k):\n    return '' if n == 0 else b(n // k, k) + str(n % k)\n[b(255, 2), b(100, 7), int('zz', 36), bin(5), hex(255), oct(8)]",
    "string formatting": "'%s %05.1f %-4d|' % ('x', 2.25, 7) + '{:>6}|{:^6}|{:+d}'.format('a', 'b', 3)",
    "large list": "x = list(range(300_000))\nsum(x[::3])",
    "large dict": "d = {i: str(i) for i in range(100_000)}\nlen(d) + len(d[99_999])",
    "global state": "n = 0\ndef f():\n    global n\n    n += 5\nf()\nf()\nn",
    "conditional expression": "[('even' if i % 2 == 0 else 'odd') for i in range(3)]",
    "chained comparison": "[1 < 2 < 3, 1 < 3 > 2, not 1 > 2 and True]",
    "star expressions": "a = [1, 2]\nb = {'x': 1}\n[[*a, *a], {**b, 'y': 2}, dict(zip('ab', range(2)))]",
    "enumerate and zip": "[(i, a, b) for i, (a, b) in enumerate(zip('ab', [1, 2], strict=True), start=1)]",
    "any, all, min, max, sum": "[any([0, 1]), all([]), min('b', 'a'), max([3, 1], key=lambda x: -x), sum([1, 2], 10), divmod(17, 5), pow(3, 4, 5), abs(-2), round(2.5)]",
    "main guard": "def main():\n    return 'ran'\nif __name__ == '__main__':\n    r = main()\nr",
    "docstrings and annotations": "def f(a: int) -> str:\n    'Says.'\n    return str(a)\nx: list[int] = [1]\n[f.__doc__, sorted(f.__annotations__), x]",
}

_REFERENCE = """
import sys
def _reference(path):
    import ast, io, json
    source = open(path, encoding="utf-8").read()
    space = sys.modules["__main__"].__dict__
    space["__file__"] = path
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    out = sys.stdout
    sys.stdout = io.StringIO()
    exec(compile(tree, path, "exec"), space)
    value = eval(compile(ast.Expression(last.value), path, "eval"), space) if last else None
    printed = sys.stdout.getvalue()
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        text = json.dumps(repr(value))
    out.write(json.dumps([json.loads(text), printed]))
_reference(sys.argv[1])
"""


@functools.cache
def reference(source: str) -> tuple[Any, str]:
    """What plain Python gives: the value of the last line, and what was printed."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "program.py").write_text(source, encoding="utf-8")
        run = [sys.executable, "-c", f"import sys; sys.path.insert(0, '')\n{_REFERENCE}", "program.py"]
        done = subprocess.run(run, cwd=folder, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, f"the program itself is wrong: {source}\n{done.stderr.decode()}"
    value, printed = json.loads(done.stdout)
    return value, printed


async def affected(sandbox: Sandbox) -> tuple[dict[str, str], list[str]]:
    """The harmless programs that this sandbox changes, with how; and those that it says it cannot run."""
    changed: dict[str, str] = {}
    refused: list[str] = []
    for name, source in HARMLESS.items():
        value, printed = await asyncio.to_thread(reference, source)
        outcome: Outcome = await sandbox.run(Program(source=source))
        if outcome.fault is not None and not sandbox.facts.full:
            refused.append(name)
        elif outcome.fault is not None or outcome.value != value or outcome.stdout != printed:
            changed[name] = f"{outcome.value!r} {outcome.fault} instead of {value!r}"
    return changed, refused
