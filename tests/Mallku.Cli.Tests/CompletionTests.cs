namespace Mallku.Cli.Tests;

/// <summary>The completion scripts in the shells that they are for.</summary>
public sealed class CompletionTests : IDisposable
{
    private readonly Scratch _scratch = new();

    public CompletionTests() => _scratch.Run("mallku init; echo v | mallku set openai_api_key; echo v | mallku set mistral_key");

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("mallku ex", "explain export")]
    [InlineData("mallku get op", "openai_api_key")]
    [InlineData("mallku get ", "mistral_key openai_api_key")]
    [InlineData("mallku key ", "recover rotate status")]
    [InlineData("mallku export --format ", "env json shell")]
    [InlineData("mallku run --only openai_api_key,mi", "openai_api_key,mistral_key")]
    // as bash splits --only=mi, and completes what stands behind the sign
    [InlineData("mallku run --only = mi", "mistral_key")]
    [InlineData("mallku run --except = openai_api_key,mi", "openai_api_key,mistral_key")]
    [InlineData("mallku run --env LLM_KEY = mi", "mistral_key")]
    [InlineData("mallku run --env LLM_KEY =", "mistral_key openai_api_key")]
    [InlineData("mallku run --env LLM_KEY = mistral_key --on", "--only")]
    [InlineData("mallku nonsense ", "")]
    public void Bash_completes(string typed, string expected)
    {
        Needs.Program("bash");
        var outcome = _scratch.Run(
            $"""
            eval "$(mallku completion bash)"
            read -ra COMP_WORDS <<< '{typed}'
            [[ '{typed}' == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$(({"${#COMP_WORDS[@]}"} - 1))
            _mallku
            printf '%s\n' "{"${COMPREPLY[@]}"}" | sort | xargs
            """,
            "bash");
        Assert.Equal((expected, ""), (outcome.Output.TrimEnd('\n'), outcome.Error));
    }

    [Theory]
    [InlineData("mallku ex", "explain export")]
    [InlineData("mallku get op", "openai_api_key")]
    [InlineData("mallku key ", "recover rotate status")]
    [InlineData("mallku run --only mi", "mistral_key")]
    [InlineData("mallku run --only openai_api_key,mi", "openai_api_key,mistral_key")]
    [InlineData("mallku run --only=mi", "--only=mistral_key")]
    [InlineData("mallku run --env LLM_KEY=mi", "LLM_KEY=mistral_key")]
    [InlineData("mallku nonsense ", "")]
    public void Fish_completes(string typed, string expected)
    {
        Needs.Program("fish");
        var outcome = _scratch.Run($"mallku completion fish | source; complete -C '{typed}' | sort | xargs", "fish");
        Assert.Equal((expected, ""), (outcome.Output.TrimEnd('\n'), outcome.Error));
    }

    [Theory]
    [InlineData("mallku ex", "explain export")]
    [InlineData("mallku get op", "openai_api_key")]
    [InlineData("mallku key ", "recover rotate status")]
    [InlineData("mallku run --only openai_api_key,mi", "openai_api_key,mistral_key")]
    [InlineData("mallku run --only=mi", "--only=mistral_key")]
    public void Zsh_completes(string typed, string expected)
    {
        Needs.Program("zsh");
        // compadd prints what it would offer; the completion system itself needs a line editor
        var outcome = _scratch.Run(
            $$"""
            autoload -U compinit && compinit -u -D
            eval "$(mallku completion zsh)"
            compadd() { shift; print -l -- "$@"; }
            _default() { }
            words=({{typed}}); [[ '{{typed}}' == *' ' ]] && words+=('')
            CURRENT=$#words
            _mallku | sort | xargs
            [[ $_comps[mallku] == _mallku ]] || echo not registered
            """,
            "zsh");
        Assert.Equal((expected, ""), (outcome.Output.TrimEnd('\n'), outcome.Error));
    }

    [Theory]
    [InlineData("eval \"$(mallku completion zsh)\"")]
    [InlineData("eval \"$(mallku completion zsh)\"; autoload -Uz compinit && compinit -i")]
    [InlineData("autoload -Uz compinit && compinit -i; eval \"$(mallku completion zsh)\"")]
    public void Zsh_knows_it_at_the_first_prompt_wherever_the_start_file_has_compinit(string startFile)
    {
        Needs.Program("zsh");
        File.WriteAllText(_scratch[".zshrc"], startFile + "\n");
        var outcome = _scratch.Run("echo 'echo \"<$_comps[mallku]>\" $#precmd_functions' | zsh -di");
        Assert.Contains("<_mallku> 0\n", outcome.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("not found", outcome.Error, StringComparison.Ordinal);
    }
}
