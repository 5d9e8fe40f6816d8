"""Installs the peers below a build folder; each peer that cannot be installed has its reason."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import processes
from peers import Installed

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
DRIVERS = HERE / "drivers"
BUILD = Path(os.environ.get("PEERS_BUILD", ROOT / "target" / "peers"))
MINUTES = 60


def apt(program, package):
    """A Debian package, unless its program is there already."""
    if shutil.which(program):
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    processes.run(["apt-get", "update"], 5 * MINUTES, env=env)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    processes.run(install, 10 * MINUTES, env=env)


def debian_version(package):
    if not shutil.which("dpkg-query"):
        return ""
    version = processes.run(["dpkg-query", "-W", "-f", "${Version}", package], MINUTES)
    return re.split(r"[-+]", version)[0]


def rust(peer):
    target = Path(os.environ.get("CARGO_TARGET_DIR", BUILD / "rust"))
    manifest = DRIVERS / "rust" / "Cargo.toml"
    build = ["cargo", "build", "--release", "--locked", "--manifest-path", manifest]
    env = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    processes.run(build, 30 * MINUTES, env=env)
    crates = {"redeliver": "redeliver", "bullmq-rs": "bullmq-official", "apalis": "apalis-redis", "rsmq": "rsmq_async"}
    lock = (DRIVERS / "rust" / "Cargo.lock").read_text()
    crate = crates[peer.name]
    version = re.search(rf'name = "{crate}"\nversion = "(.*)"', lock)[1]
    return Installed(peer, [target / "release" / "peers", peer.driver], version=version)


def node(peer):
    folder = BUILD / "node"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(DRIVERS / "node" / "package.json", folder)
    if not (folder / "node_modules" / "bullmq").exists():
        processes.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], 10 * MINUTES, cwd=folder)
    packages = json.loads((folder / "package.json").read_text())["dependencies"]
    env = {"PEER_MODULES": str(folder)}
    return Installed(peer, ["node", DRIVERS / peer.driver], env, packages[peer.name])


def python(peer):
    folder = BUILD / "venv"
    requirements = DRIVERS / "python" / "requirements.txt"
    if not (folder / "bin" / peer.name).exists():
        processes.run([sys.executable, "-m", "venv", folder], 5 * MINUTES)
        pip = [folder / "bin" / "pip", "install", "--quiet", "--requirement", requirements]
        processes.run(pip, 10 * MINUTES)
    version = re.search(rf"{peer.name}.*==(.*)", requirements.read_text())[1]
    return Installed(peer, [folder / "bin" / "python", DRIVERS / peer.driver], version=version)


def ruby(peer):
    apt("sidekiq", "ruby-sidekiq")
    return Installed(peer, ["ruby", DRIVERS / peer.driver], version=debian_version("ruby-sidekiq"))


def beanstalkd(peer):
    apt("beanstalkd", "beanstalkd")
    return Installed(peer, [sys.executable, DRIVERS / peer.driver], version=debian_version("beanstalkd"))


def install(peer):
    toolchains = {"rust": rust, "node": node, "python": python, "ruby": ruby, "beanstalkd": beanstalkd}
    return toolchains[peer.toolchain](peer)
