"""A small Hugging Face Hub on the loopback, so that tests can push and load without a network.

    with Hub() as hub:                       # set HF_ENDPOINT=hub.url before huggingface_hub is
        commit = hub.add("me/model", folder)  # imported, and HF_HUB_DISABLE_XET=1
        hub.fail("me/gated", "gated")
    hub.about["me/model"] = {"pipeline_tag": "image-text-to-text", "downloads": 7}

It keeps models and datasets in memory, one list of commits each, and answers what the client asks
for downloads (info, tree, paths, HEAD and GET with ranges), for pushes (create, preupload, LFS,
commit) and for the models of a task (page by page). `requests` lists what was asked: (method, path,
bytes sent back).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

# status, X-Error-Code, X-Error-Message: what the Hub answers in each case
FAILURES = {
    "gated": (403, "GatedRepo", "Access to this repository is restricted."),
    "forbidden": (403, "", "Forbidden."),
    # Somebody who is not logged in is not told whether there is such a repository.
    "unknown": (401, "RepoNotFound", "Invalid username or password."),
    "broken": (500, "", "Internal error."),
    "moved": (301, "", "Moved."),  # without saying where
}
# And what is no answer of the Hub's at all: the page of a captive portal, and a byte now and then,
# as the answer to every question or to those for a file's content.
STRANGE = ("login page", "drip", "drip content")
PAGE = 3  # models on a page of the listing; the Hub has a thousand


def child_environment(cache: Path) -> dict[str, str]:
    """For a process of its own that talks to a `Hub` and keeps what it fetches in `cache`."""
    ours = ("HF_", "TRANSFORMERS_", "VLM_MODEL")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    kept |= {"HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return kept | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "OMP_NUM_THREADS": "1"}


class Hub:
    """The server; a context manager. Names of datasets begin with `datasets/`."""

    def __init__(self):
        self.commits: dict[str, list[tuple[str, dict[str, bytes]]]] = {}  # name: (sha, files), …
        self.about: dict[str, dict] = {}  # what the listing says of a model, beside its name
        self.failing: dict[str, str] = {}
        self.renamed: dict[str, tuple[str, int]] = {}  # an old name: the new one, and a status
        self.requests: list[tuple[str, str, int]] = []
        self.uploads: dict[str, bytes] = {}  # LFS objects by their sha256
        self.closed = False
        self.closing = threading.Event()
        self.cut = 0  # > 0: files larger than this are sent up to here, and no further
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Nobody answers from now on, not even on connections that are still open."""
        self.closed = True
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def add(self, name: str, folder: str | Path | dict[str, bytes]) -> str:
        """A commit with the files of a folder; its 40 digits."""
        if not isinstance(folder, dict):
            root = Path(folder)
            paths = [path for path in root.rglob("*") if path.is_file()]
            folder = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
        history = self.commits.setdefault(name, [])
        content = repr([len(history), name, sorted((k, oid(v)) for k, v in folder.items())])
        sha = hashlib.sha1(content.encode()).hexdigest()
        history.append((sha, dict(folder)))
        return sha

    def fail(self, name: str, how: str) -> None:
        """From now on a question about `name` is answered with one of `FAILURES` or `STRANGE`."""
        self.failing[name] = how

    def files(self, name: str) -> dict[str, bytes]:
        return self.commits[name][-1][1]


def oid(data: bytes) -> str:
    """The name that Git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def answer(self, body=b"", status=200, **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.hub.requests.append((self.command, self.path, len(body)))
        self.send_response(status)
        length = headers.pop("Content_Length", len(body))
        for name, value in {**headers, "Content-Length": length}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            sent = body[: self.hub.cut] if 0 < self.hub.cut < len(body) else body
            self.wfile.write(sent)
            self.close_connection = len(sent) < len(body)

    def be_strange(self, how):
        if how == "login page":
            return self.answer(b"<html>Please log in.</html>", Content_Type="text/html")
        try:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b"." * 9999:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if self.hub.closing.wait(0.2):
                    break
        except OSError:  # the other side has gone
            pass
        self.close_connection = True

    def refuse(self, how):
        status, code, message = FAILURES.get(how) or (404, how, "Not found")
        self.answer({"error": message}, status, X_Error_Code=code, X_Error_Message=message)

    def handle_any(self):
        if self.hub.closed:
            self.close_connection = True
            return
        url = urlsplit(self.path)
        path = unquote(url.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        for pattern, action in (
            (r"/api/repos/create", self.create),
            (r"/api/validate-yaml", lambda body: self.answer({"errors": [], "warnings": []})),
            (r"/upload/(?P<sha>\w+)", self.upload),
            (r"/(?P<name>.+)\.git/info/lfs/objects/batch", self.batch),
            (r"/api/(?P<name>.+?)/tree/(?P<rev>[^/]+)/?(?P<folder>.*)", self.tree),
            (r"/api/(?P<name>.+?)/paths-info/(?P<rev>[^/]+)", self.paths),
            (r"/api/(?P<name>.+?)/preupload/[^/]+", self.preupload),
            (r"/api/(?P<name>.+?)/commit/[^/]+", self.commit),
            (r"/api/(?P<name>.+?)/revision/(?P<rev>[^/]+)", self.info),
            (r"/(?P<name>.+?)/resolve/(?P<rev>[^/]+)/(?P<file>.+)", self.resolve),
            (r"/api/(?P<name>(models|datasets)/.+)", self.info),
            (r"/api/models", self.listing),
        ):
            if match := re.fullmatch(pattern, path):
                known = match.groupdict()
                if "name" in known:
                    known["name"] = known["name"].removeprefix("models/")
                    if known["name"] in self.hub.renamed:
                        name, status = self.hub.renamed[known["name"]]
                        new = self.path.replace(known["name"], name)
                        return self.answer(status=status, Location=new)
                    how = self.hub.failing.get(known["name"])
                    content = action == self.resolve and self.command == "GET"
                    if how in STRANGE and (content or how != "drip content"):
                        return self.be_strange(how)
                    if how in STRANGE:
                        return action(body=body, **known)
                    # What a gated model is called, and what files it has, everybody may see.
                    if how and (how != "gated" or action == self.resolve):
                        return self.refuse(how)
                    if known["name"] not in self.hub.commits:
                        return self.refuse("unknown")
                return action(body=body, **known)
        self.refuse("EntryNotFound")

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def at(self, name, rev):
        history = self.hub.commits[name]
        if rev in ("main", "refs/heads/main"):
            return history[-1]
        return next((commit for commit in history if commit[0] == rev), (None, {}))

    # ── downloads ──

    def info(self, body, name, rev="main"):
        sha, files = self.at(name, rev)
        if sha is None:
            return self.refuse("RevisionNotFound")
        siblings = [{"rfilename": path} for path in files]
        kind = {"id": name.removeprefix("datasets/"), "private": False, "downloads": 0, "likes": 0}
        self.answer({**kind, "sha": sha, "siblings": siblings, "tags": [], "gated": False})

    def listing(self, body):
        """The models of a task, `PAGE` at a time, and after each page where the next one is."""
        if (how := self.hub.failing.get("the listing")) in STRANGE:
            return self.be_strange(how)
        if how:
            return self.refuse(how)
        asked = parse_qs(urlsplit(self.path).query)
        (task,), (sort,), (limit,), (search,), (start,) = (
            asked.get(name, [default])
            for name, default in (
                ("pipeline_tag", None), ("sort", "likes"), ("limit", PAGE), ("search", ""),
                ("cursor", 0),
            )
        )  # fmt: skip
        found = [
            {"_id": oid(name.encode())[:24], "id": name, **about}
            for name, about in self.hub.about.items()
            if task in (None, about.get("pipeline_tag")) and search.lower() in name.lower()
        ]
        found.sort(key=lambda model: model.get(sort, 0), reverse=True)
        start, size = int(start), min(int(limit), PAGE)
        if "expand" in asked:
            kept = {"_id", "id", *asked["expand"]}
            found = [{k: v for k, v in model.items() if k in kept} for model in found]
        more = {}
        if start + size < len(found):
            query = urlencode({**asked, "cursor": [start + size]}, doseq=True)
            more["Link"] = f'<{self.hub.url}/api/models?{query}>; rel="next"'
        self.answer(found[start : start + size], **more)

    def entries(self, files, wanted):
        folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
        return [
            {"type": "file", "path": path, "size": len(data), "oid": oid(data)}
            for path, data in files.items()
            if wanted(path)
        ] + [
            {"type": "directory", "path": path, "size": 0, "oid": oid(path.encode())}
            for path in sorted(folders)
            if wanted(path)
        ]

    def tree(self, body, name, rev, folder):
        sha, files = self.at(name, rev)
        if sha is None:
            return self.refuse("RevisionNotFound")
        inside = f"{folder}/" if folder else ""
        deep = "recursive=true" in urlsplit(self.path).query.lower()

        def wanted(path):
            return path.startswith(inside) and (deep or "/" not in path.removeprefix(inside))

        found = self.entries(files, wanted)
        return self.answer(found) if found or not folder else self.refuse("EntryNotFound")

    def paths(self, body, name, rev):
        wanted = parse_qs(body.decode())["paths"]
        self.answer(self.entries(self.at(name, rev)[1], wanted.__contains__))

    def resolve(self, body, name, rev, file):
        sha, files = self.at(name, rev)
        if sha is None:
            return self.refuse("RevisionNotFound")
        if file not in files:
            # The client notes the commit of what is missing, too.
            return self.answer(b"", 404, X_Error_Code="EntryNotFound", X_Repo_Commit=sha)
        data = files[file]
        about = {"ETag": f'"{oid(data)}"', "X_Repo_Commit": sha, "Accept_Ranges": "bytes"}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(match[1]), int(match[2] or len(data) - 1)
            part = data[start : end + 1]
            about["Content_Range"] = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
            return self.answer(part, 206, **about)
        self.answer(data, **about)

    # ── pushes ──

    def create(self, body):
        asked = json.loads(body)
        kind = asked.get("type", "model")
        name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
        full = name if kind == "model" else f"{kind}s/{name}"
        new = full not in self.hub.commits
        if new:
            self.hub.add(full, {})
        self.answer({"url": f"{self.hub.url}/{full}"}, 200 if new else 409)

    def preupload(self, body, name):
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        self.answer({"files": modes})

    def batch(self, body, name):
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.hub.url}/upload/{each['oid']}"}}}
            for each in json.loads(body)["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects})

    def upload(self, body, sha):
        assert hashlib.sha256(body).hexdigest() == sha
        self.hub.uploads[sha] = body
        self.answer()

    def commit(self, body, name):
        files = dict(self.hub.files(name))
        for line in body.splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploads[value["oid"]]
            elif step["key"] == "deletedFile":
                files.pop(value["path"], None)
        sha = self.hub.add(name, files)
        url = f"{self.hub.url}/{name}/commit/{sha}"
        self.answer({"commitUrl": url, "commitOid": sha, "pullRequestUrl": None})
