# Completion of the command uvjobs for bash.
_uvjobs_cron() {
  case $1 in
  -*)
    mapfile -t COMPREPLY < <(compgen -W '-h --help --check --verbose --next= --zone= --gap=
      --fold= --from= --limit= --close-timeout=' -- "$1")
    ;;
  *)
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
    ;;
  esac
}
# A store, a command, and the options.
_uvjobs_queue() {
  case $1 in
  -*)
    mapfile -t COMPREPLY < <(compgen -W '-h --help --json --state= --queue= --kind= --key=
      --limit=' -- "$1")
    ;;
  *)
    mapfile -t COMPREPLY < <(
      [ "$COMP_CWORD" -ne 3 ] || compgen -W 'stats list show retry cancel pause resume prune
        schedules' -- "$1"
      [ "$COMP_CWORD" -ne 2 ] || compgen -f -- "$1"
    )
    ;;
  esac
}
# The options, or the numbers of the processes that can be asked.
_uvjobs_inspect() {
  local options='-h --help'
  case $2 in
  ps) options+=' --json' ;;
  tree) options+=' --all --ascii --json' ;;
  top) options+=' --once' ;;
  web) options+=' --port=' ;;
  trace | profile) options+=' -s --seconds= -o --output=' ;;
  esac
  case $1 in
  -*)
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$1")
    ;;
  *)
    mapfile -t COMPREPLY < <(
      compgen -W "$(uvjobs ps 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$1"
    )
    ;;
  esac
}
_uvjobs() {
  local word=${COMP_WORDS[COMP_CWORD]} i
  COMPREPLY=()
  if [ "$COMP_CWORD" -gt 1 ] && [ "${COMP_WORDS[1]}" = cron ]; then
    _uvjobs_cron "$word"
    return
  fi
  if [ "$COMP_CWORD" -gt 1 ] && [ "${COMP_WORDS[1]}" = queue ]; then
    _uvjobs_queue "$word"
    return
  fi
  case ${COMP_WORDS[1]} in
  ps | tree | why | top | web | trace | profile)
    if [ "$COMP_CWORD" -gt 1 ]; then
      _uvjobs_inspect "$word" "${COMP_WORDS[1]}"
      return
    fi
    ;;
  esac
  # What follows the script belongs to the script.
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    -- | --stats | --clock | --close-timeout | --date | --dump | --inspect | --interrupt | --seed | --shuffle | \
      --signals | --slow | --timeslice | --work-threads | = | virtual | real | [0-9]* | inf | none | count | SIG*) ;;
    *)
      mapfile -t COMPREPLY < <(compgen -f -- "$word")
      return
      ;;
    esac
  done
  case $word in
  -*)
    mapfile -t COMPREPLY < <(compgen -W '-h --help -v --version -- -e --stats --clock=
      --close-timeout= --date= --dump= --inspect= --interrupt= --seed= --shuffle= --signals= --slow=
      --timeslice= --work-threads=' -- "$word")
    ;;
  *)
    mapfile -t COMPREPLY < <(
      [ "$COMP_CWORD" -gt 1 ] || compgen -W "cron queue ps tree why top web trace profile" -- "$word"
      compgen -d -- "$word"
      compgen -f -X '!*.lua' -- "$word"
    )
    ;;
  esac
}
complete -o filenames -F _uvjobs uvjobs
