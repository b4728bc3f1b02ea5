"""`python -m perstack.interface.reference`: writes docs/reference of the checkout it is started in."""

from __future__ import annotations

from pathlib import Path

from perstack.interface.reference.pages import pages


def main() -> None:
    folder = Path("docs/reference")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(Path()).items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
