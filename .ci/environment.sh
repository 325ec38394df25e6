# shellcheck shell=bash
# To be sourced. `make_environment DIRECTORY` creates a virtual environment there, unless it has one that works.

# The tests start hundreds of Python processes. Without bytecode files, each one compiles sqsw again.
unset PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK=1

make_environment() {
    local directory=$1 python=${PYTHON:-python3}
    if ! command -v "$python" >/dev/null ||
        ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "error: '$python' is not Python 3.11 or newer" >&2
        echo "  next: install one, or choose one: PYTHON=/path/to/python3.12 $0" >&2
        return 1
    fi
    if "$directory/bin/python" -m pip --version >/dev/null 2>&1; then
        return 0
    fi
    rm -rf "$directory"
    if ! "$python" -m venv "$directory" >/dev/null 2>&1; then
        rm -rf "$directory"
        echo "error: '$python' cannot create virtual environments" >&2
        echo "  why:  Debian has them in a separate package" >&2
        echo "  next: apt-get install python3-venv" >&2
        return 1
    fi
}
