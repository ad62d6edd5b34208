#!/usr/bin/env bash
# run_integration.sh [PYTEST ARGUMENT...]: the pytest suite.
cd "$(dirname "$0")/../integration" || exit 1
exec "$MT_VENV/bin/python" -m pytest "$@"
