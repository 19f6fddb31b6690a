# Reads a flattened seed (NAME.flat in the folder $seed, see yaml.awk) without starting a program: value NAME PATH prints
# one value, values NAME PREFIX prints those below a path.
value() { values "$1" "$2" only; }
values() {
  [ -s "$seed/$1.flat" ] || return 0
  while IFS='	' read -r seed_path seed_value; do
    case $seed_path in
      "$2") [ -n "$3" ] && printf '%s\n' "$seed_value" && return ;;
      "$2"/*) [ -n "$3" ] || printf '%s\n' "$seed_value" ;;
    esac
  done <"$seed/$1.flat"
}
