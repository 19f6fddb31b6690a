# Flattens the YAML that seeds are written in (block and flow collections, plain, quoted and block scalars, JSON) into
# lines of `path TAB value`: `ethernets/eth0/addresses/0	192.0.2.7/24`. A value is one line: \\, \n and \t are escaped in
# it. What this cannot read (anchors, tags, plain scalars over several lines) becomes a line `!` with its line number;
# nothing is guessed.

function trim(s) { sub(/^[ \t]+/, "", s); sub(/[ \t]+$/, "", s); return s }
function indent_of(s) { match(s, /^ */); return RLENGTH }
function emit(path, value) {
  gsub(/\\/, "&&", value); gsub(/\n/, "\\n", value); gsub(/\t/, "\\t", value)
  print path "\t" value
}
function unreadable() { print "!\tline " at }
function join_path(parent, key) { return parent == "" ? key : parent "/" key }

# --- Scalars and flow collections: `text` is read from `cursor`, both global -----------------------------------------

function quoted(    quote, c, out) {
  quote = substr(text, cursor++, 1); out = ""
  while (cursor <= length(text)) {
    c = substr(text, cursor++, 1)
    if (c == quote) {
      if (quote == "'" && substr(text, cursor, 1) == "'") { out = out "'"; cursor++; continue }
      return out
    }
    if (c == "\\" && quote == "\"") {
      c = substr(text, cursor++, 1)
      if (c == "n") c = "\n"; else if (c == "t") c = "\t"; else if (c == "r") c = "\r"; else if (c == "0") c = ""
      else if (c == "u" || c == "x" || c == "U") { unreadable(); c = "" }
    }
    out = out c
  }
  failed = 1
  return out
}
function skip_blank() { while (substr(text, cursor, 1) ~ /^[ \t\n]$/) cursor++ }

# A node inside [ ] or { }.
function flow(path,    c, start, index_, key) {
  skip_blank(); c = substr(text, cursor, 1)
  if (c == "[") {
    cursor++; index_ = 0
    while (!failed) {
      skip_blank(); c = substr(text, cursor, 1)
      if (c == "]") { cursor++; return }
      if (c == ",") { cursor++; continue }
      flow(path "/" index_++)
    }
    return
  }
  if (c == "{") {
    cursor++
    while (!failed) {
      skip_blank(); c = substr(text, cursor, 1)
      if (c == "}") { cursor++; return }
      if (c == ",") { cursor++; continue }
      if (c == "\"" || c == "'") key = quoted()
      else { start = cursor; while (cursor <= length(text) && substr(text, cursor, 1) !~ /[]:,{}]/) cursor++; key = trim(substr(text, start, cursor - start)) }
      skip_blank()
      if (substr(text, cursor++, 1) != ":") { failed = 1; return }
      flow(join_path(path, key))
    }
    return
  }
  if (c == "\"" || c == "'") { emit(path, quoted()); return }
  start = cursor
  while (cursor <= length(text) && substr(text, cursor, 1) !~ /[],}]/) cursor++
  if (cursor > length(text)) { failed = 1; return }
  emit(path, plain(substr(text, start, cursor - start)))
}
function plain(s) {
  s = trim(s)
  return s == "~" || s == "null" ? "" : s
}

# True when the quotes and brackets that `s` opens are closed in it.
function is_complete(s,    k, c, quote, depth, was) {
  quote = ""; depth = 0; was = ""
  for (k = 1; k <= length(s); k++) {
    c = substr(s, k, 1)
    if (quote != "") { if (c == "\\" && quote == "\"") k++; else if (c == quote) quote = "" }
    else if ((c == "\"" || c == "'") && was !~ /[A-Za-z0-9]/) quote = c
    else if (c ~ /[[{]/) depth++
    else if (c ~ /[]}]/) depth--
    was = c
  }
  return quote == "" && depth <= 0
}

function scalar(path, value, indent) {
  if (value ~ /^[|>][-+0-9]*([ \t]+#.*)?$/) { block(path, value, indent); return }
  if (value ~ /^[&*!%@`]/) { unreadable(); return }
  if (value ~ /^["'[{]/) {
    while (!is_complete(value) && at < count) value = value " " trim(line[++at])
    text = value; cursor = 1; failed = 0
    if (value ~ /^["']/) value = quoted(); else flow(path)
    if (failed || trim(substr(text, cursor)) !~ /^(#.*)?$/) { unreadable(); return }
    if (text ~ /^["']/) emit(path, value)
    return
  }
  sub(/[ \t]+#.*$/, "", value)
  emit(path, plain(value))
}

# A block scalar: the lines after this one that are deeper than `indent`.
function block(path, header, indent,    folded, chomp, depth, out, s, gap, empty) {
  folded = header ~ /^>/; chomp = match(header, /[-+]/) ? substr(header, RSTART, 1) : ""
  depth = match(header, /[1-9]/) ? indent + substr(header, RSTART, 1) : 0
  out = ""; gap = ""; empty = 1
  while (at < count) {
    s = line[at + 1]
    if (s ~ /^ *$/) { gap = gap "\n"; at++; continue }
    if (indent_of(s) <= indent) break
    if (!depth) depth = indent_of(s)
    at++
    s = substr(s, depth + 1)
    if (empty) out = gap s
    else if (folded && s !~ /^ /) out = out (gap == "" ? " " : gap) s
    else out = out "\n" gap s
    gap = ""; empty = 0
  }
  emit(path, out (chomp == "-" || empty ? "" : "\n") (chomp == "+" ? gap : ""))
}

# --- Block collections: a stack of what is open ----------------------------------------------------------------------

function push(indent, kind) { top++; depth_of[top] = indent; kind_of[top] = kind; path_of[top] = pending; next_of[top] = 0 }

function node(indent, s,    path, rest, key, offset) {
  while (top > 0 && depth_of[top] > indent) top--
  if (s ~ /^-( |$)/) {
    if (!(top > 0 && depth_of[top] == indent && kind_of[top] == "list")) push(indent, "list")
    path = join_path(path_of[top], next_of[top]++)
    rest = substr(s, 2); offset = 1 + indent_of(rest); rest = trim(rest)
    pending = path
    if (rest == "" || rest ~ /^#/) return
    if (rest ~ /^-( |$)/ || key_length(rest)) node(indent + offset, rest)
    else scalar(path, rest, indent)
    return
  }
  offset = key_length(s)
  if (!offset) { if (top == 0 && s ~ /^[[{]/) scalar("", s, indent); else unreadable(); return }
  while (top > 0 && depth_of[top] == indent && kind_of[top] == "list") top--
  if (!(top > 0 && depth_of[top] == indent)) push(indent, "map")
  key = substr(s, 1, offset - 1)
  if (key ~ /^["']/) { text = key; cursor = 1; key = quoted() }
  path = join_path(path_of[top], trim(key))
  rest = trim(substr(s, offset + 1))
  pending = path
  if (rest == "" || rest ~ /^#/) print "?" path "\t"
  else scalar(path, rest, indent)
}
# Where the colon after the key is, or 0 when this is no `key: …`.
function key_length(s) {
  if (s ~ /^"[^"]*" *:( |$)/ || s ~ /^'[^']*' *:( |$)/) { match(s, /^("[^"]*"|'[^']*') *:/); return RLENGTH }
  if (s ~ /^["'[{#&*!|>%@`]/ || !match(s, /:( |$)/)) return 0
  return RSTART
}

{ sub(/\r$/, ""); line[NR] = $0 }
END {
  count = NR; top = 0; pending = ""
  for (at = 1; at <= count; at++) {
    current = line[at]
    if (current ~ /^[ \t]*(#.*)?$/ || current ~ /^(---|\.\.\.)[ \t]*$/) continue
    sub(/[ \t]+$/, "", current)
    node(indent_of(current), substr(current, indent_of(current) + 1))
  }
}
