"""A small order book."""

from pathlib import Path

VERSION = "1.0.0"

ROOT = Path(__file__).resolve().parent.parent


def _revision() -> str:
    """What was deployed: the deploy agent leaves the commit in the release's root."""
    try:
        return (ROOT / "REVISION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return "unknown"


REVISION = _revision()
