# To be sourced.
alive() { # Whether the process PID of the command NAME, any if none is given, has not ended: alive PID [NAME]
  [[ "$(ps -o stat= -o comm= -p "${1:-}" 2>/dev/null)" =~ ^[^Z][^\ ]*\ +${2:-.} ]]
}
