"""Fail if a link, a picture or a script within the built pages leads nowhere."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The addresses that a page names, and the places in it that have a name."""

    def __init__(self, path):
        super().__init__()
        self.addresses, self.anchors = set(), {"", "top"}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in {"href", "src"} and value is not None:
                self.addresses.add(value)
            elif name == "srcset":
                self.addresses.update(part.split()[0] for part in value.split(", "))
            elif name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)


root = Path(sys.argv[1]).resolve()
# The theme's own templates lie in _static too.
paths = [path for path in sorted(root.rglob("*.html")) if root / "_static" not in path.parents]
pages = {path: Page(path) for path in paths}
broken, n_links = [], 0
for path, page in pages.items():
    for address in sorted(page.addresses):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        n_links += 1
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        if not target.is_relative_to(root) or not target.exists():
            broken.append(f"{path.relative_to(root)}: {address}")
        elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
            broken.append(f"{path.relative_to(root)}: {address} (no such place on that page)")
if not n_links:
    sys.exit(f"no pages with links in {root}")
print(f"{n_links:,} links within {len(pages)} pages")
if broken:
    sys.exit("\n".join(["links that lead nowhere:", *broken]))
