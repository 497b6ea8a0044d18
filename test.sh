#!/usr/bin/env bash
# Installs what is missing, builds once and runs every test. Last line: "N passed, N failed[, N skipped]".
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"

# Fewer than these and something did not run. Raise them when tests are added.
minimum_dotnet=2600
minimum_e2e=72

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false   # no build server outlives this script

work=$(mktemp -d "${TMPDIR:-/tmp}/postern-test-XXXXXX")
passed=0 failed=0 skipped=0 finished=false postgres= child=

as_postgres() {   # PostgreSQL refuses to run as root
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi
}

finish() {
  local code=$?
  trap - EXIT INT TERM
  if [ -n "$child" ]; then kill "$child" 2>/dev/null && wait "$child" || true; fi
  if [ -n "$postgres" ]; then as_postgres "$postgres/pg_ctl" -D "$work/postgres/data" -m immediate stop >/dev/null 2>&1 || true; fi
  rm -rf "$work"
  if [ "$finished" = false ]; then failed=$((failed + 1)); [ "$code" != 0 ] || code=1; fi
  [ "$failed" = 0 ] || [ "$code" != 0 ] || code=1
  if [ "$skipped" = 0 ]; then echo "$passed passed, $failed failed"; else echo "$passed passed, $failed failed, $skipped skipped"; fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { printf '\n[%4d s] %s\n' "$SECONDS" "$*"; }
stop() { printf '%s\n' "$*" >&2; exit 1; }
bounded() {   # bounded SECONDS COMMAND …: in the background, so that an interrupt is heard at once and ends all that the command started
  local code=0
  timeout -k 10 "$@" </dev/null & child=$!
  wait "$child" || code=$?
  child=
  return "$code"
}
quietly() {   # shows what a command said only when it failed
  "$@" >"$work/log" 2>&1 || { tail -n 60 "$work/log" >&2; return 1; }
}

install_packages() {
  command -v apt-get >/dev/null || stop "Please install these yourself, this system has no apt-get: $*"
  local root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || stop "Missing: $*. Run this as root and start again: apt-get install -y $*"
    root=(sudo); echo "Installing needs root; sudo may ask for your password: apt-get install $*"
  fi
  quietly "${root[@]}" apt-get update || stop "apt-get update failed."
  quietly "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" || stop "Could not install: $*"
}

postgres_folder() {
  local initdb
  initdb=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)
  [ -n "$initdb" ] || initdb=$(command -v initdb) || return 1
  dirname "$initdb"
}

step "What is missing"
command -v dotnet >/dev/null || stop "Please install the .NET 10 SDK first: https://dotnet.microsoft.com/download/dotnet/10.0"
missing=()
find /usr/lib /lib /usr/local/lib -name 'libsqlite3.so.0' 2>/dev/null | grep -q . || missing+=(libsqlite3-0)
postgres_folder >/dev/null || missing+=(postgresql)
[ -n "${POSTERN_CHROMIUM:-}" ] || [ -x /usr/bin/chromium ] || [ -x /usr/bin/chromium-browser ] || missing+=(chromium)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if [ -x /usr/sbin/policy-rc.d ]; then   # in a container: elsewhere their packages would start a service, and the tests through them are skipped
  [ -x /usr/sbin/nginx ] || missing+=(nginx)
  [ -x /usr/sbin/haproxy ] || missing+=(haproxy)
fi
if [ ${#missing[@]} -gt 0 ]; then echo "Installing ${missing[*]}"; install_packages "${missing[@]}"; else echo "nothing"; fi
if ! cmp -s tests/e2e/package-lock.json tests/e2e/node_modules/.postern-lock; then
  step "npm packages"
  quietly npm ci --prefix tests/e2e || stop "npm ci failed."
  cp tests/e2e/package-lock.json tests/e2e/node_modules/.postern-lock
fi
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then   # Debian 12 has 18, too old for some packages; its npm needs just that one
  node_folder=$PWD/artifacts/node
  [ -x "$node_folder/node_modules/.bin/node" ] || {
    echo "Installing Node 24 into artifacts/node"
    quietly npm install --no-save --no-audit --no-fund --prefix "$node_folder" node@24.21.0 || stop "Could not install Node 24."
  }
  PATH=$node_folder/node_modules/.bin:$PATH
fi

step "Build"
quietly dotnet restore --locked-mode || stop "Restore failed. After a change of packages: dotnet restore, and commit packages.lock.json."
quietly dotnet build -c Release --no-restore -v q || stop "The build failed."

step "Formatting"
if ! quietly dotnet format whitespace --verify-no-changes --no-restore; then
  failed=$((failed + 1)); echo "Formatting differs. Run: dotnet format"
fi

step "PostgreSQL"
postgres_bin=$(postgres_folder)
mkdir "$work/postgres"
chmod 711 "$work"
if [ "$(id -u)" = 0 ]; then chown postgres "$work/postgres"; fi
quietly as_postgres "$postgres_bin/initdb" -D "$work/postgres/data" -A trust -E UTF8 --locale=C.UTF-8 -U postern || stop "initdb failed."
for _ in 1 2 3; do   # the port is free when asked for, not for certain when used
  port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
  if quietly as_postgres "$postgres_bin/pg_ctl" -D "$work/postgres/data" -w -t 30 -l "$work/postgres/log" \
      -o "-p $port -k $work/postgres -c listen_addresses=127.0.0.1" start </dev/null; then postgres=$postgres_bin; break; fi
done
[ -n "$postgres" ] || stop "PostgreSQL did not start: $(cat "$work/postgres/log")"
export POSTERN_TEST_POSTGRES="Host=127.0.0.1;Port=$port;Username=postern;Database=postgres"
echo "on 127.0.0.1:$port"

# failures REPORT: what failed, kept for the end, where it is seen.
failures() {
  node -e '
    const report = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
    const texts = report.failures ?? report.results.tests.filter(t => t.status === "failed" || t.status === "other")
      .map(t => `${t.name} (${t.duration} ms)\n${[t.message, t.trace].join("\n")}`);
    for (const text of texts) console.log(`failed: ${text.slice(0, 4000)}`);' "$1" >>"$work/failures"
}

# count REPORT MINIMUM EXIT_CODE NAME: adds what really ran; a runner that died or ran too little is one failure more.
count() {
  local p=0 f=0 s=0
  if [ -s "$1" ]; then
    read -r p f s < <(node -e '
      const r = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")), c = r.results ? r.results.summary : r;
      console.log(c.passed, c.failed + (c.other ?? 0), c.skipped + (c.pending ?? 0));' "$1")
  fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  if [ "$f" != 0 ]; then failures "$1"; fi
  if [ "$((p + f))" -lt "$2" ]; then failed=$((failed + 1)); echo "Only $((p + f)) $4 tests ran, at least $2 should have."
  elif [ "$3" != 0 ] && [ "$f" = 0 ]; then failed=$((failed + 1)); echo "The $4 tests ended with exit code $3."; fi
}

step "Tests"
code=0
bounded 900 dotnet tests/Postern.Tests/bin/Release/net10.0/Postern.Tests.dll --no-progress --no-ansi \
  --results-directory "$work" --report-ctrf --report-ctrf-filename dotnet.json || code=$?
count "$work/dotnet.json" "$minimum_dotnet" "$code" .NET

step "End-to-end tests"
code=0
export POSTERN_DLL=$PWD/src/Postern.Server/bin/Release/net10.0/postern.dll
bounded 420 node tests/e2e/run.mjs --report "$work/e2e.json" || code=$?
count "$work/e2e.json" "$minimum_e2e" "$code" end-to-end

step "Done"
if [ -s "$work/failures" ]; then cat "$work/failures"; fi
finished=true
