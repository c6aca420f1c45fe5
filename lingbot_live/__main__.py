"""``python -m lingbot_live`` is the command ``lingbot-live``."""

from __future__ import annotations

from lingbot_live.cli.main import main

if __name__ == "__main__":
    main()
