"""Run the stand-in: `python -m fairbank.harvest.xnat_standin --root FOLDER --port PORT`."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Serve a folder of DICOM as an XNAT until interrupted."""
    parser = argparse.ArgumentParser(prog="fairbank.harvest.xnat_standin", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder: <root>/<project>/<anything>/*.dcm")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument("--user", default="reader", help="name of the one user")
    parser.add_argument(
        "--password-file", type=Path, help="file with that user's password; without: 'reader'"
    )
    given = parser.parse_args(arguments)
    if not given.root.is_dir():
        parser.error(f"there is no folder {given.root}")
    # pydicom quotes the values that it wonders about, and identifiers do not belong into a log.
    warnings.filterwarnings("ignore", module=r"pydicom\b")
    import uvicorn

    from fairbank.harvest.xnat_standin.app import create_app

    password = given.password_file.read_text().strip() if given.password_file else "reader"
    app = create_app(given.root, user=given.user, password=password)
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning", access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
