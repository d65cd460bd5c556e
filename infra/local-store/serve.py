"""A real S3 server for development and tests: OpenStack Swift with s3api, on loopback.

Run from the environment of `make env`:

    python infra/local-store/serve.py FOLDER --port 8080

It keeps its objects in FOLDER, whose file system must know user xattrs, serves until it gets
SIGTERM or Ctrl-C, and can be started again in the same folder, also after a kill -9. It checks
signatures and checksums as a real store does. Users are those of USERS; see README.md.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from swift.common.ring import RingBuilder
from swift.common.wsgi import run_wsgi
from swift.obj.server import global_conf_callback

# Access key and secret; the groups that Swift gives each of them.
USERS = {
    "test:developer": ("local-development", ".admin"),
    "test:guest": ("no-rights-at-all", ""),
}
LOOPBACK = "127.0.0.1"
BACKENDS = ("account", "container", "object")
PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth slo proxy-server

[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
# A machine that is busy with tests answers late, which must not look like a fault.
node_timeout = 60
recoverable_node_timeout = 60
conn_timeout = 20
client_timeout = 60

[filter:tempauth]
use = egg:swift#tempauth
{users}

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:cache]
# Nothing listens there: the server works without a memcached.
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
"""
BACKEND = """
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
# Listings are brought up to date before a write is acknowledged, not some time after.
container_update_timeout = 60
node_timeout = 60
"""
DEFAULTS = """
[DEFAULT]
bind_ip = {host}
bind_port = {port}
workers = 0
swift_dir = {etc}
devices = {devices}
mount_check = false
log_address =
fallocate_reserve = {reserve}
"""


def main() -> None:
    """Write the configuration, start the four servers, and wait for the end."""
    arguments = _arguments()
    folder = arguments.folder.absolute()
    devices = folder / "devices"
    (devices / "disk").mkdir(parents=True, exist_ok=True)
    _check_xattrs(devices)
    ports = _configure(folder, arguments)
    children = [_start(kind, folder / "etc" / f"{kind}.conf") for kind in ports]
    print(f"http://{arguments.host}:{ports['proxy']}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if arguments.until_eof:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        pid, status = os.wait()
        print(f"server {pid} ended with status {status}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        pass
    finally:
        for child in children:
            os.kill(child, signal.SIGTERM)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the objects are kept")
    parser.add_argument("--port", type=int, default=0, help="of the S3 side; 0: one that is free")
    parser.add_argument(
        "--host", default=LOOPBACK, help="address on which the S3 side listens; the rest does not"
    )
    parser.add_argument(
        "--reserve",
        default="0",
        help="bytes (or a share such as 99.9%%) of the disk that must stay free: writes that would "
        "use them are refused",
    )
    parser.add_argument("--until-eof", action="store_true", help="end when the standard input does")
    return parser.parse_args()


def _check_xattrs(folder: Path) -> None:
    try:
        os.setxattr(folder, "user.onesketch", b"1" * 2000)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOSPC, errno.E2BIG):
            raise
        sys.exit(f"{folder}: this file system has no user xattrs, which Swift needs; use another")


def _configure(folder: Path, arguments: argparse.Namespace) -> dict[str, int]:
    """Write all configuration; the ports of the backends stay, because the rings hold them."""
    etc = folder / "etc"
    etc.mkdir(exist_ok=True)
    noted = etc / "ports.json"
    ports = json.loads(noted.read_text()) if noted.exists() else _new_cluster(etc)
    if arguments.port or "proxy" not in ports:
        ports["proxy"] = arguments.port or _free_ports(1)[0]
    noted.write_text(json.dumps(ports))
    users = "\n".join(
        f"user_{name.replace(':', '_')} = {secret} {groups}"
        for name, (secret, groups) in USERS.items()
    )
    for kind, number in ports.items():
        text = DEFAULTS.format(
            host=arguments.host if kind == "proxy" else LOOPBACK,
            port=number,
            etc=etc,
            devices=folder / "devices",
            reserve=arguments.reserve,
        )
        text += PROXY.format(users=users) if kind == "proxy" else BACKEND.format(kind=kind)
        (etc / f"{kind}.conf").write_text(text)
    return ports


def _new_cluster(etc: Path) -> dict[str, int]:
    """Build rings of one replica on one device."""
    (etc / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = onesketch\n")
    ports = dict(zip(BACKENDS, _free_ports(len(BACKENDS)), strict=True))
    for kind, port in ports.items():
        builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
        device = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port}
        builder.add_dev({**device, "device": "disk", "weight": 1})
        builder.rebalance()
        builder.get_ring().save(str(etc / f"{kind}.ring.gz"))
    return ports


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def _start(kind: str, config: Path) -> int:
    """Fork one server; it dies with this process, however that dies."""
    parent = os.getpid()
    if child := os.fork():
        return child
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    callback = {"global_conf_callback": global_conf_callback} if kind == "object" else {}
    os._exit(run_wsgi(str(config), f"{kind}-server", **callback))


def _end_with_stdin() -> None:
    # Not through sys.stdin, whose lock this thread would hold while the interpreter ends.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
