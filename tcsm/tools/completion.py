"""Print the completion of commands, keys and choices for bash or zsh."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from tcsm import config
from tcsm.errors import InputError
from tcsm.listing import described

USAGE = (
    'type eval "$(tcsm completion bash)", or write it to a file that your shell reads: '
    "tcsm completion bash > ~/.local/share/bash-completion/completions/tcsm"
)
# A shell may split words at "=", as bash does, or not, as zsh does.
SCRIPT = """\
_tcsm() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} key= lead= words=
  case $word in
    *=*) key=${{word%%=*}} ; [ "$word" = "=" ] && key=$before || lead=$key= ; word=${{word#*=}} ;;
    *) [ "$before" = "=" ] && key=${{COMP_WORDS[COMP_CWORD-2]}} ;;
  esac
  case $key in
    "") if [ "$COMP_CWORD" = 1 ]; then words="{verbs}"
        elif [ "${{COMP_WORDS[1]}}" = help ] || [ "${{COMP_WORDS[1]}}" = config ] && \\
             [ "$COMP_CWORD" = 2 ]; then words="{stages}"
        elif [ "${{COMP_WORDS[1]}}" = plan ] && [ "$COMP_CWORD" = 2 ]; then words="{experiments}"
        else words="{keys} --help --prompt --infill --watch"; fi ;;
{choices}
  esac
  COMPREPLY=( $(compgen -W "$words" -- "$word") )
  if [ "$COMP_CWORD" != 1 ] && [ "${{#COMPREPLY[@]}}" = 0 ]; then
    COMPREPLY=( $(compgen -d -- "$word") )
  fi
  [ -z "$lead" ] || COMPREPLY=( "${{COMPREPLY[@]/#/$lead}}" )
  case ${{COMPREPLY[0]}} in *=) compopt -o nospace 2>/dev/null ;; esac
}}
complete -F _tcsm tcsm"""
ZSH = "autoload -U +X compinit && compinit && autoload -U +X bashcompinit && bashcompinit\n"


def main(arguments: Sequence[str]) -> int:
    """Print the script of a shell.

    Raises:
        InputError: Another shell.
    """
    if list(arguments) not in (["bash"], ["zsh"]):
        given = " ".join(arguments) or "nothing"
        raise InputError(f"completion: found {given}, must be bash or zsh; {USAGE}")
    print((ZSH if arguments[0] == "zsh" else "") + _script(config.params_folder()))
    return 0


def _script(params: Path) -> str:
    """Return the script, with the stages, tools, keys and choices that there are now."""
    groups: dict[str, list[str]] = {}
    for file in sorted(params.rglob("*/*.yaml")):
        name = file.relative_to(params).with_suffix("").as_posix()
        group, _, choice = name.partition("/")
        groups.setdefault(group, []).append(choice)
    stages, tools = (" ".join(described(folder)) for folder in ("stages", "tools"))
    return SCRIPT.format(
        verbs=f"{stages} {tools} help",
        stages=stages,
        experiments=" ".join(groups["experiment"]),
        keys=" ".join(sorted({*(f"{group}=" for group in groups), *_keys(params)})),
        choices="\n".join(f'    {g}) words="{" ".join(names)}" ;;' for g, names in groups.items()),
    )


def _keys(params: Path) -> set[str]:
    """Return the keys of config.yaml and of the training's settings, with "="."""
    top = OmegaConf.to_container(OmegaConf.load(params / "config.yaml"))
    trainer = OmegaConf.to_container(OmegaConf.load(params / "trainer/default.yaml"))
    assert isinstance(top, dict)
    assert isinstance(trainer, dict)
    nodes = {**top, "trainer": trainer}
    inner = {
        f"{k}.{n}=" for k, v in nodes.items() if isinstance(v, dict) for n in v if n[0] != "_"
    }
    plain = {f"{k}=" for k, v in nodes.items() if not isinstance(v, dict) and k != "defaults"}
    return inner | plain
