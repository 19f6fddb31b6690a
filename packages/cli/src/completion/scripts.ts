// The scripts that teach a shell to complete virga. Each asks `virga __complete -- WORDS…`, whose last word is the one
// under the cursor, and reads lines of VALUE<tab>DESCRIPTION and a last line: `:files` when paths fit too, else `:`.
// What was typed is passed on as words, never evaluated.

export const shells = ['bash', 'zsh', 'fish'] as const;

export function completionScript(shell: string): string {
  if (shell === 'zsh') return zsh;
  return shell === 'fish' ? fish : bash;
}

const bash = `# bash completion of virga
_virga() {
  local -a words=()
  local word line prefix cur=\${COMP_WORDS[COMP_CWORD]}
  local index
  # bash takes words apart at = and :, so they are put together again.
  for ((index = 1; index <= COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    if ((\${#words[@]} > 0)) && [[ $word == [=:]* || \${words[-1]} == *[=:] ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
  done
  [[ $cur == [=:] ]] && cur=
  prefix=\${words[-1]%"$cur"}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files) compopt -o default ;;
      :) ;;
      *)
        line=\${line%%$'\\t'*}
        COMPREPLY+=("\${line#"$prefix"}")
        ;;
    esac
  done < <("\${COMP_WORDS[0]}" __complete -- "\${words[@]}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace
  return 0
}
complete -F _virga virga
`;

const zsh = `#compdef virga
# zsh completion of virga
_virga() {
  local -a lines values
  local line description
  lines=("\${(@f)$(virga __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${(@)lines}"; do
    case $line in
      :files) _files ;;
      :|'') ;;
      *)
        description=\${line#*$'\\t'}
        values+=("\${\${line%%$'\\t'*}//:/\\\\:}\${description:+:$description}")
        ;;
    esac
  done
  (( $#values )) && _describe -V virga values
}
(( $+functions[compdef] )) && compdef _virga virga
[[ $funcstack[1] == _virga ]] && _virga "$@"
true
`;

const fish = `# fish completion of virga
function __virga_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in (virga __complete -- $words[2..-1] 2>/dev/null)
    switch $line
      case ':files'
        __fish_complete_path (commandline -ct)
      case ':'
      case '*'
        echo $line
    end
  end
end
complete -c virga -f -a '(__virga_complete)'
`;
