using System.CommandLine;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class CompletionVerb : Verb
{
    internal static readonly string[] Shells = ["bash", "zsh", "fish", "pwsh"];

    private readonly Argument<string> _shell = new("SHELL") { Description = "bash, zsh, fish or pwsh" };

    internal CompletionVerb() => Understand(_shell);

    internal override string? Notes => "Completes verbs, options and the names of secrets. It never asks for anything and never shows a value.";

    internal override bool UsesStore => false;

    internal override string[] Examples =>
    [
        "eval \"$(mallku completion bash)\"                          # in ~/.bashrc",
        "eval \"$(mallku completion zsh)\"                           # in ~/.zshrc",
        "mallku completion fish > ~/.config/fish/completions/mallku.fish",
        "mallku completion pwsh | Out-String | Invoke-Expression   # in $PROFILE",
    ];

    internal override ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        Channel.Output.Write(invocation.Parsed.GetRequiredValue(_shell) switch
        {
            "bash" => Bash,
            "zsh" => Zsh,
            "fish" => Fish,
            "pwsh" => PowerShell,
            _ => throw new UsageException("'completion' knows bash, zsh, fish and pwsh", "write it as: mallku completion bash"),
        });
        return new(ExitCode.Done);
    }

    // after `--` and for files the shell's own completion goes on
    private const string Bash = """
        _mallku() {
            local IFS=$'\n' i n=0 words=()
            for ((i = 1; i <= COMP_CWORD; i++)); do
                # bash takes VAR=NAME for three words, and completes the third
                if ((n > 0)) && [[ ${COMP_WORDS[i]} == = || ${COMP_WORDS[i]} && ${COMP_WORDS[i-1]} == = ]]; then
                    words[n-1]+=${COMP_WORDS[i]}
                else
                    words[n++]=${COMP_WORDS[i]}
                fi
            done
            COMPREPLY=($(command mallku complete -- "${words[@]}" 2>/dev/null))
            if [[ ${words[n-1]} == *=* ]]; then
                COMPREPLY=("${COMPREPLY[@]#"${words[n-1]%"${words[n-1]##*=}"}"}")
            fi
        }
        complete -o default -F _mallku mallku

        """;

    private const string Zsh = """
        #compdef mallku
        _mallku() {
            local -a candidates
            candidates=("${(@f)$(command mallku complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
            candidates=("${(@)candidates:#}")
            if (( $#candidates )); then
                compadd -- "${candidates[@]}"
            else
                _default
            fi
        }
        if [ "$funcstack[1]" = "_mallku" ]; then
            _mallku "$@"
        elif (( $+functions[compdef] )); then
            compdef _mallku mallku
        else
            # a compinit later in ~/.zshrc would forget what is registered now
            _mallku_register() {
                add-zsh-hook -d precmd _mallku_register
                (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
                compdef _mallku mallku
            }
            autoload -Uz add-zsh-hook && add-zsh-hook precmd _mallku_register
        fi

        """;

    private const string Fish = """
        function __mallku_complete
            set -l words (commandline -opc) (commandline -ct)
            command mallku complete -- $words[2..-1] 2>/dev/null
        end
        complete -c mallku -f -n 'test -n "$(__mallku_complete)"' -a '(__mallku_complete)'

        """;

    private const string PowerShell = """
        Register-ArgumentCompleter -Native -CommandName mallku -ScriptBlock {
            param($wordToComplete, $commandAst, $cursorPosition)
            $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
                Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { "$_" })
            & (Get-Command mallku -CommandType Application)[0] complete -- @words "$wordToComplete" 2>$null |
                ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }
        }

        """;
}
