#!/bin/sh
# usage: sh requirements/install.sh PYTHON VENV [NAME]
#
# Makes the virtual environment VENV where there is none, and installs requirements/NAME.txt and this project into it.
# Each step is one line on standard error; on a terminal it counts the packages that have come. What pip says goes to
# VENV/NAME.log, and is shown when a step fails.
# A call that was killed leaves nothing that the next call does not repair.
set -u
python=$1 venv=$2 name=${3:-python}
py=$venv/bin/python
log=$venv/$name.log
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0 # a user's setting would fail inside of an environment

say() {
    echo "understage: $*" >&2
}

fail() { # the advice
    tail -n 20 "$log" >&2
    say "$1; all of it is in $log"
    exit 1
}

place() { # where the environment is and what runs it, as in the Makefile
    echo "$(cd "$venv" && pwd -P) $(readlink -f "$py")"
}

make_environment() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        say "$python is $("$python" --version 2>/dev/null || echo missing), but Python >= 3.11 is needed;" \
            "name another one with: make PYTHON=python3.12 ..."
        exit 1
    }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || {
        say "$python cannot make a virtual environment; on Debian: apt-get install python3-venv"
        exit 1
    }
    say "making $venv with $("$python" --version) (once) ..."
    rm -rf "$venv"/lib/python3*/site-packages/pip "$venv"/lib/python3*/site-packages/pip-*.dist-info
    rm -f "$venv"/bin/python*
    "$python" -m venv "$venv" >>"$log" 2>&1 && "$py" -m pip --version >>"$log" 2>&1 ||
        fail "$python cannot make a virtual environment in $venv"
}

# pip writes INSTALLER last. A package without it was interrupted, but pip would take it for installed.
forget_half_installed() {
    for info in "$venv"/lib/python3*/site-packages/*.dist-info; do
        [ -e "$info/INSTALLER" ] || rm -rf "$info"
    done
    rm -rf "$venv"/lib/python3*/site-packages/~*
}

# Shows how far pip is, once a second, until it is stopped or this script is gone.
count() {
    while sleep 1 && kill -0 $$ 2>/dev/null; do
        printf '\runderstage: %s packages came, %s are installed ' "$(grep -c '^Collecting\|^Processing' "$log")" \
            "$(ls -d "$venv"/lib/python3*/site-packages/*.dist-info 2>/dev/null | grep -c .)" >&2
    done
}

# Nothing is looked up: the locked file is complete, wheels need no build, and the project is built with what it locks.
# Python compiles a module when it is first needed; compiling all of them takes longer than all the rest.
install() {
    say "installing $(grep -c == "requirements/$name.txt") locked packages into $venv (once, about a minute) ..."
    moved=$([ ! -s "$venv/.$name" ] || [ "$(cat "$venv/.$name")" = "$(place)" ] || echo --force-reinstall)
    counter=
    if [ -t 2 ]; then
        count &
        counter=$!
    fi
    "$py" -m pip install --no-compile --no-deps --require-hashes --only-binary :all: $moved \
        -r "requirements/$name.txt" >>"$log" 2>&1
    code=$?
    if [ -n "$counter" ]; then
        kill "$counter"
        wait "$counter" 2>/dev/null
        printf '\r\033[K' >&2
    fi
    [ "$code" = 0 ] || fail "pip could not install requirements/$name.txt"
    PIP_REQUIRE_HASHES=0 "$py" -m pip install --no-index --no-deps --no-build-isolation --editable . \
        >>"$log" 2>&1 || fail "pip could not install this project"
    "$py" -m pip check >>"$log" 2>&1 || fail "requirements/$name.txt is incomplete: run make lock"
}

mkdir -p "$venv" 2>/dev/null && : 2>/dev/null >"$log" || {
    say "cannot write to $venv in $(pwd -P); name a place that can be written to: make VENV=/tmp/understage ..."
    exit 1
}
"$py" -m pip --version >/dev/null 2>&1 || make_environment
if [ -n "${3:-}" ]; then
    forget_half_installed
    install
    place >"$venv/.$name"
fi
