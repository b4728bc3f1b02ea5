# Runs inside a sandbox as its first process of ours: takes requests on stdin, one at a time. Arguments: the control
# directory, the folder that set-up left of HOME. A request is "NAME MARK SEAL"; NAME is a script in the control
# directory. MARK on stdout says that the command has ended, and how; then the host sends "end" (or earlier, at a time-out),
# everything else in the sandbox is killed, and SEAL closes both streams. A request without a script (NAME is "-") is
# answered at once: that tells the host that all this runs. Only ever run in a PID namespace of its own.
unset TERM container # Podman sets them; every request brings the whole environment that it is to have
control=$1
for kept in "$2"/* "$2"/.[!.]*; do
  [ -e "$kept" ] && ln -s "$kept" "$HOME/" 2>/dev/null
done
if command -v setsid >/dev/null 2>&1; then alone=setsid; else alone=; fi
seal() { printf '\n%s 0\n' "$1"; printf '\n%s 0\n' "$1" >&2; }
while read -r name mark seal; do
  [ -n "$seal" ] || continue
  if [ "$name" = - ]; then seal "$seal"; continue; fi
  (
    ( . "$control/$name" ) 2>&3 3>&-
    printf '\n%s %s\n' "$mark" "$?"
  ) 3>&2 2>/dev/null </dev/null &
  job=$!
  read -r end || exit 0
  kill -9 -1 2>/dev/null
  wait "$job" 2>/dev/null
  while kill -9 -1 2>/dev/null; do :; done
  seal "$seal"
done
