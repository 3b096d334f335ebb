"""Completion scripts for bash, zsh and fish."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from lab.cli.completion.words import SHELLS, Words

_CONTEXT = """\
  local context="" word previous index
  for ((index = {first}; index < {current}; index++)); do
    word=${{{words}[index]}}
    [[ $word != -* ]] && _lab_words "${{context:+$context }}$word" > /dev/null || break
    context=${{context:+$context }}$word
  done
  previous=${{{words}[{current} - 1]}}"""
"""Finds the context: the words from the first on that are one."""
_BASH = """\
# completion of lab for bash
{functions}
_lab() {{
  local current=${{COMP_WORDS[COMP_CWORD]}}
{context}
  if [[ $previous == -* && $previous != *=* ]] && ! _lab_is_flag "$previous"; then
    COMPREPLY=($(compgen -W "$(_lab_values "$context" "$previous")" -- "$current"))
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$(_lab_words "$context")" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$(_lab_words "$context" | tr ' ' '\\n' | grep -v '^-')" -- "$current"))
  fi
}}
complete -o bashdefault -o default -F _lab lab
"""
_ZSH = """\
#compdef lab
# completion of lab for zsh
{functions}
_lab() {{
{context}
  local -a found
  if [[ $previous == -* && $previous != *=* ]] && ! _lab_is_flag "$previous"; then
    found=(${{=$(_lab_values "$context" "$previous")}})
  else
    found=(${{=$(_lab_words "$context")}})
    [[ $PREFIX == -* ]] && found=(${{(M)found:#-*}}) || found=(${{found:#-*}})
  fi
  (( $#found )) && compadd -a found || _files
}}
if [[ $funcstack[1] == _lab ]]; then _lab "$@"; else compdef _lab lab; fi
"""
_FISH = """\
# completion of lab for fish
{functions}
function __lab_complete
  set -l tokens (commandline -opc)
  set -l current (commandline -ct)
  set -l context
  for word in $tokens[2..]
    string match -q -- '-*' $word; and break
    __lab_words (string join ' ' $context $word) > /dev/null; or break
    set context $context $word
  end
  set -l found
  if string match -q -- '-*' $tokens[-1]; and not string match -q -- '*=*' $tokens[-1]; and not __lab_is_flag $tokens[-1]
    set found (__lab_values (string join ' ' $context) $tokens[-1] | string split ' ')
  else if string match -q -- '-*' $current
    set found (__lab_words (string join ' ' $context) | string split ' ' | string match -- '-*')
  else
    set found (__lab_words (string join ' ' $context) | string split ' ' | string match -v -- '-*')
  end
  if test -n "$found"
    printf '%s\\n' $found
  else
    __fish_complete_path $current
  end
end
complete -c lab -f -a '(__lab_complete)'
"""


def bash(words: Words) -> str:
    """Return the script of bash."""
    return _BASH.format(functions=_functions(words), context=_CONTEXT.format(first=1, current="COMP_CWORD", words="COMP_WORDS"))


def zsh(words: Words) -> str:
    """Return the script of zsh."""
    return _ZSH.format(functions=_functions(words), context=_CONTEXT.format(first=2, current="CURRENT", words="words"))


def fish(words: Words) -> str:
    """Return the script of fish."""

    def function(name: str, subject: str, cases: list[tuple[list[str], str]]) -> str:
        lines = [f"    case {' '.join(map(_quote, patterns))}\n      {answer}" for patterns, answer in cases]
        return "\n".join([f"function {name}", f"  switch {subject}", *lines, "    case '*'\n      return 1", "  end", "end"])

    following = [([context], f"echo {_quote(' '.join(each))}") for context, each in words.following.items()]
    values = [
        ([f"{context or '*'} {option}"], f"echo {_quote(' '.join(each))}")
        for (context, option), each in words.shared_values().items()
    ]
    return _FISH.format(
        functions="\n".join(
            [
                function("__lab_words", '"$argv[1]"', following),
                function("__lab_values", '"$argv[1] $argv[2]"', values),
                function("__lab_is_flag", '"$argv[1]"', [(sorted(words.flags), "return 0")]),
            ]
        )
    )


def _functions(words: Words) -> str:
    """Return the tables as functions of bash and zsh alike."""

    def function(name: str, subject: str, cases: list[tuple[str, str]]) -> str:
        lines = [f"    {pattern}) {answer} ;;" for pattern, answer in cases]
        return "\n".join([f"{name}() {{", f"  case {subject} in", *lines, "    *) return 1 ;;", "  esac", "}"])

    following = [(_quote(context), f"echo {_quote(' '.join(each))}") for context, each in words.following.items()]
    values = [
        (f"{_quote(context) if context else '*'}{_quote(f' {option}')}", f"echo {_quote(' '.join(each))}")
        for (context, option), each in words.shared_values().items()
    ]
    return "\n".join(
        [
            function("_lab_words", '"$1"', following),
            function("_lab_values", '"$1 $2"', values),
            function("_lab_is_flag", '"$1"', [("|".join(sorted(words.flags)), "return 0")]),
        ]
    )


def _quote(text: str) -> str:
    return shlex.quote(text) if text else "''"


SCRIPTS: dict[str, Callable[[Words], str]] = dict(zip(SHELLS, (bash, zsh, fish), strict=True))
"""The script of each shell."""
