# shellcheck shell=bash
# Runs tasks side by side. A script reads this file after lib.sh, adds tasks
# with `task`, and runs them with `run_tasks`: as many at once as $lanes says.
#
# A task is a command, a function with arguments for example. It runs in a
# subshell, in a process group of its own, and counts what passed and failed
# with `count`. What it prints is shown as a whole when it has ended, so that
# the outputs of two tasks do not mix.

lanes=$(nproc)
# A task that has printed nothing for so many seconds is taken for hung. There
# is no limit for a task that makes progress, however slow the machine is.
hang_limit=900

passed=0
failed=0
scratch=$(mktemp -d)
failures=$scratch/failures # what failed; of a task while it runs, then of all
title=      # of the task that runs; for its command
log=        # a file for its command
titles=()   # of each task
commands=() # of each task, quoted
pids=()     # of the tasks that run: the number of their process group
begun=()    # when they were started, in seconds
ending=()   # of those that were told to end

heading() {
  printf '\n== %s\n' "$*"
}

# count PASSED FAILED: adds to the sums.
count() {
  passed=$((passed + $1))
  failed=$((failed + $2))
}

# pass TEXT: counts something that passed, and says so.
pass() {
  printf 'ok      %s\n' "$1"
  count 1 0
}

# fail TEXT: counts a failure. It is shown now, and again at the end.
fail() {
  printf 'FAILED  %s\n' "$1" | tee -a "$failures"
  count 0 1
}

# task TITLE COMMAND...: adds one.
task() {
  titles+=("$1")
  shift
  commands+=("${*@Q}")
}

# play_task N: what runs in the subshell of a task.
play_task() {
  set +m
  exec {ended}>&-
  # Opening it does not block: whoever started the task has it open.
  # The variables are meant as they are now, and not at the end of the subshell.
  # shellcheck disable=SC2064
  trap "echo $1 >'$scratch/ended'" EXIT
  # The command uses these two.
  # shellcheck disable=SC2034
  title=${titles[$1]} log=$scratch/$1.log
  failures=$scratch/$1.failures
  passed=0
  failed=0
  eval "${commands[$1]}"
  echo "$passed $failed" >"$scratch/$1.count"
}

start_task() {
  set -m # a process group for each
  play_task "$1" </dev/null >"$scratch/$1.out" 2>&1 &
  set +m
  pids[$1]=$!
  begun[$1]=$SECONDS
}

# finish_task N: shows what the task has printed, and adds what it counted.
finish_task() {
  local good bad
  [ -n "${pids[$1]-}" ] || return 0
  wait "${pids[$1]}" 2>/dev/null || true
  unset "pids[$1]"
  heading "${titles[$1]} ($((SECONDS - begun[$1])) s)"
  cat "$scratch/$1.out"
  if [ -s "$scratch/$1.count" ]; then
    read -r good bad <"$scratch/$1.count"
    count "$good" "$bad"
  else
    fail "${titles[$1]}: it ended before it had counted"
  fi
  [ ! -e "$scratch/$1.failures" ] || cat "$scratch/$1.failures" >>"$failures"
}

# signal_task N SIGNAL: sends it to all processes of the task.
signal_task() {
  kill -s "$2" -- "-${pids[$1]}" 2>/dev/null || true
}

# A task that does not end by SIGTERM is killed when it is looked at again.
end_hung_task() {
  if [ -n "${ending[$1]-}" ]; then
    signal_task "$1" KILL
    return
  fi
  ending[$1]=yes
  printf '\nstopped: it had printed nothing for %d seconds\n' "$hang_limit" \
    >>"$scratch/$1.out"
  signal_task "$1" TERM
}

# Finishes tasks that could not say that they have ended, and ends hung ones.
look_at_tasks() {
  local n silent
  for n in "${!pids[@]}"; do
    silent=$(($(date +%s) - $(stat -c %Y "$scratch/$n.out")))
    if ! kill -0 "${pids[$n]}" 2>/dev/null; then
      finish_task "$n"
    elif [ -n "${ending[$n]-}" ] || [ "$silent" -ge "$hang_limit" ]; then
      end_hung_task "$n"
    fi
  done
}

# Runs all tasks, in their order.
run_tasks() {
  local next=0 n
  mkfifo "$scratch/ended"
  exec {ended}<>"$scratch/ended"
  while [ "$next" -lt "${#titles[@]}" ] || [ "${#pids[@]}" -gt 0 ]; do
    if [ "$next" -lt "${#titles[@]}" ] && [ "${#pids[@]}" -lt "$lanes" ]; then
      start_task "$next"
      next=$((next + 1))
    elif read -r -t 10 n <&"$ended"; then
      finish_task "$n"
    else
      look_at_tasks
    fi
  done
}

# Shows again what failed: the end of a long output is what people look at, and
# what is kept. The status is 1 when something failed.
sum_up() {
  if [ -s "$failures" ]; then
    heading "what failed"
    cat "$failures"
  fi
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

stop_all() {
  local n
  for n in "${!pids[@]}"; do
    signal_task "$n" TERM
  done
  rm -rf "$scratch"
}

trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
