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
_uvjobs() {
  local word=${COMP_WORDS[COMP_CWORD]} i
  COMPREPLY=()
  if [ "$COMP_CWORD" -gt 1 ] && [ "${COMP_WORDS[1]}" = cron ]; then
    _uvjobs_cron "$word"
    return
  fi
  # What follows the script belongs to the script.
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    -- | --stats | --clock | --close-timeout | --date | --dump | --interrupt | --seed | --shuffle | \
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
      --close-timeout= --date= --dump= --interrupt= --seed= --shuffle= --signals= --slow=
      --timeslice= --work-threads=' -- "$word")
    ;;
  *)
    mapfile -t COMPREPLY < <(
      [ "$COMP_CWORD" -gt 1 ] || compgen -W cron -- "$word"
      compgen -d -- "$word"
      compgen -f -X '!*.lua' -- "$word"
    )
    ;;
  esac
}
complete -o filenames -F _uvjobs uvjobs
