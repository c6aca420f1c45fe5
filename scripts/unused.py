"""What nothing here calls, but others do: Qt, typer, plug-ins, people at a prompt. Read by vulture."""
