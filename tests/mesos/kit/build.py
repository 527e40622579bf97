"""Fetches libmesos 1.11.0, and builds the launcher `mesos-cluster` on top of it, in the directory given.

The download goes to the user's cache ($XDG_CACHE_HOME/ekiden, ~/.cache/ekiden), for all checkouts. Run by `setup`, which
sees to the Debian packages and to being alone.
"""
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

KIT = Path(__file__).resolve().parent
OUT = Path(sys.argv[1]).resolve()
LIB = OUT / "lib"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ekiden"

# The binding of Mesos for Python 2.7: its extension module contains all of libmesos.
BINDING = "mesos.scheduler==1.11.0"
SHA256 = "4940ebb70894ee004cf8a12b7b66b52a351be1070ec2a4e6f7dae4ec04f8cb61"
# Knows how to find an egg for another Python than the one that runs, which pip itself does not.
SETUPTOOLS = "setuptools==75.8.0"


def say(what):
    print(f"mesos-kit: {what}", file=sys.stderr, flush=True)


def fail(what):
    sys.exit(f"mesos-kit: {what}")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True,
                          **options).stdout


def is_right(egg):
    return egg.exists() and hashlib.sha256(egg.read_bytes()).hexdigest() == SHA256


FIND = """
import sys
from pkg_resources import Requirement
from setuptools.package_index import PackageIndex
binding, directory, *index = sys.argv[1:]
found = PackageIndex(*index, python="2.7", platform="linux-x86_64").fetch_distribution(
    Requirement.parse(binding), directory)
print(found.location if found else "")
"""


def fetch_egg():
    """The path of the binding, from the cache or from the package index that pip uses."""
    egg = CACHE / "mesos.scheduler-1.11.0-py2.7-linux-x86_64.egg"
    if is_right(egg):
        return egg
    say(f"fetching libmesos 1.11.0 (27 MB) to {CACHE}")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        pip = [sys.executable, "-m", "pip"]
        environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore", "PYTHONPATH": f"{scratch}/setuptools"}
        try:
            run(*pip, "install", "-q", "--no-deps", "--target", f"{scratch}/setuptools", SETUPTOOLS, env=environment)
        except subprocess.CalledProcessError:
            fail(f"pip could not install {SETUPTOOLS}, which finds the binding: see above")
        known = subprocess.run([*pip, "config", "get", "global.index-url"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, check=False).stdout
        index = os.environ.get("PIP_INDEX_URL") or known.strip()
        try:
            found = run(sys.executable, "-S", "-W", "ignore", "-c", FIND, BINDING, scratch,
                        *([index] if index else []), env=environment).splitlines()[-1]
        except subprocess.CalledProcessError:
            found = ""
        if not found:
            fail(f"{BINDING} could not be fetched from the package index: try again when it can be reached")
        if not is_right(Path(found)):
            fail(f"{BINDING}: the package index serves another file than the one known (sha256 {SHA256})")
        # Whole or not at all: other checkouts use the same cache.
        Path(found).rename(egg)
    return egg


def elf_hash(name):
    value = 0
    for char in name:
        value = (value << 4) + char
        value = (value ^ (value & 0xf0000000) >> 24) & 0x0fffffff
    return struct.pack("<I", value)


def extract(egg, library):
    """Takes the library out of the egg and makes it use Debian's libcurl, which has the functions under the version
    CURL_OPENSSL_4 instead of _3."""
    with zipfile.ZipFile(egg) as archive:
        code = archive.read("mesos/scheduler/_scheduler.so")
    for old, new in [(b"\0CURL_OPENSSL_3\0", b"\0CURL_OPENSSL_4\0"),
                     (elf_hash(b"CURL_OPENSSL_3"), elf_hash(b"CURL_OPENSSL_4"))]:
        if code.count(old) != 1:
            fail("the library is not as expected")
        code = code.replace(old, new)
    new = library.with_suffix(".new")
    new.write_bytes(code)
    new.rename(library)  # clusters that run keep the old file


def undefined_symbols(library):
    """(symbol, version, is a function) of all the library wants from others."""
    relocations = run("readelf", "-rW", library)
    called = set(re.findall(r"R_X86_64_JUMP_SLO\S*\s+\S+\s+([^@\s]+)", relocations))
    for line in run("readelf", "-W", "--dyn-syms", library).splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[6] == "UND":
            name, _, version = fields[7].partition("@")
            yield name, version.strip("@"), name in called


def compile_stub(name, symbols, *flags):
    """Compiles functions that must exist but are never called, as SSL is off."""
    source = OUT / f"{name}.c"
    source.write_text("#include <stdlib.h>\n" + "".join(
        f"void {symbol}(void) {{ abort(); }}\n" if function else f"char {symbol}[256];\n"
        for symbol, _, function in symbols))
    run("gcc", "-w", "-fno-builtin", "-fPIC", source, *flags)
    source.unlink()


def link_stub(name, symbols):
    """Makes a shared library of such functions, under the versions they are asked for."""
    versions = {}
    for symbol, version, _ in symbols:
        versions.setdefault(version, []).append(symbol)
    script = OUT / f"{name}.map"
    script.write_text("".join(f"{version} {{ global: {'; '.join(names)}; }};\n"
                              for version, names in versions.items()))
    compile_stub(name, symbols, "-shared", "-o", LIB / name, f"-Wl,-soname,{name}", f"-Wl,--version-script={script}")
    script.unlink()


def build():
    say(f"building the launcher in {OUT}")
    LIB.mkdir(exist_ok=True)
    library = LIB / "libmesos.so"
    extract(fetch_egg(), library)
    symbols = list(undefined_symbols(library))
    for name in "libssl.so.1.0.0", "libcrypto.so.1.0.0":
        # Both libraries use the same names for their versions.
        link_stub(name, [s for s in symbols if s[1].startswith("OPENSSL_") and
                         (s[0].startswith(("SSL", "TLS")) == name.startswith("libssl"))])
    compile_stub("python", [s for s in symbols if s[0].startswith(("Py", "_Py"))], "-c", "-o", OUT / "python.o")
    run("g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-o", OUT / "mesos-cluster.new", KIT / "launcher.cc",
        OUT / "python.o", "-L", LIB, "-l:libmesos.so", "-ldl", f"-Wl,-rpath-link,{LIB}",
        "-Wl,--disable-new-dtags,-rpath,$ORIGIN/lib")
    (OUT / "python.o").unlink()
    # A copy, so that agents that run are not changed by an edit, and a checkout not by the agents.
    shutil.rmtree(OUT / "libexec", ignore_errors=True)
    shutil.copytree(KIT / "libexec", OUT / "libexec", ignore=shutil.ignore_patterns("__pycache__"))
    (OUT / "mesos-cluster.new").rename(OUT / "mesos-cluster")


def main():
    stamp = OUT / "stamp"
    parts = [KIT / "build.py", KIT / "launcher.cc", *sorted((KIT / "libexec").iterdir())]
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in parts if path.is_file())).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    try:
        build()
    except subprocess.CalledProcessError as error:
        fail(f"{error.cmd[0]} failed: see above")
    stamp.write_text(wanted)
    say("ready")


main()
