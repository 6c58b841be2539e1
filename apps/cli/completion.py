"""``botsconfig completion``: for the shell to ask what may come next."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from apps.cli.options import Command


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what a shell evaluates to complete commands and options.

    \b
    bash: eval "$(botsconfig completion bash)" in ~/.bashrc
    zsh:  eval "$(botsconfig completion zsh)" in ~/.zshrc
    fish: botsconfig completion fish > ~/.config/fish/completions/botsconfig.fish
    """
    found = get_completion_class(shell)
    root = ctx.find_root().command
    if found is not None:
        click.echo(found(root, {}, "botsconfig", "_BOTSCONFIG_COMPLETE").source())
