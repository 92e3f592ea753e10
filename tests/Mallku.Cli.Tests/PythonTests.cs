namespace Mallku.Cli.Tests;

/// <summary>The published command and a plain Python program on one folder.</summary>
public sealed class PythonTests : IDisposable
{
    private readonly Scratch _scratch = new();
    private readonly string _python;

    public PythonTests()
    {
        Needs.File("/usr/lib/python3/dist-packages/cryptography", "python3-cryptography");
        _python = $"/usr/bin/python3 -B {Path.Combine(AppContext.BaseDirectory, "vault.py")}";
    }

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void The_command_opens_a_folder_that_Python_began()
    {
        Assert.Equal("", Run($$"""echo '{"openai_api_key": "sk-\u00e9"}' | {{_python}} write .secrets"""));
        Assert.Equal("sk-é\n", Run("mallku get openai_api_key"));

        Run("echo sk-two | mallku set openai_api_key && echo sk-a | mallku set anthropic_api_key");
        Assert.StartsWith("""{"anthropic_api_key": "sk-a", "openai_api_key": "sk-two", "$mallku": {""", Run($"{_python} read .secrets"), StringComparison.Ordinal);
        Assert.Equal("2 set\n1 external\n", Run("mallku history openai_api_key | cut -f1,4 | tr '\\t' ' '"));
    }

    [Fact]
    public void What_Python_changes_is_a_version_and_what_it_drops_is_removed()
    {
        Run("mallku init; for name in kept changed dropped; do echo first | mallku set $name; done");
        Run($$"""echo '{"set": {"changed": "by Python"}, "remove": ["dropped"]}' | {{_python}} update .secrets""");

        Assert.Equal("changed 2\nkept 1\n", Run("mallku list | cut -f1,2 | tr '\\t' ' '"));
        Assert.Equal("by Python\n", Run("mallku get changed"));
        Assert.Equal("2 current external\n1 previous set\n", Run("mallku history changed | cut -f1,2,4 | tr '\\t' ' '"));
        Assert.Equal(3, _scratch.Run("mallku get dropped").ExitCode);
        Assert.Equal("1 retired\n", Run("mallku history dropped | cut -f1,2 | tr '\\t' ' '"));
    }

    [Fact]
    public void A_Python_program_that_still_holds_the_former_key_is_noticed_and_nothing_is_lost()
    {
        Run("mallku init; echo one | mallku set a; echo one | mallku set b");

        // it loads the vault, waits for the rotation, then writes what it remembers
        var update = $$"""(while [ ! -e go ]; do sleep 0.05; done; echo '{"set": {"b": "by Python" } }') | {{_python}} update .secrets > said & """;
        Run(update + "until grep -q loaded said; do sleep 0.05; done; echo two | mallku set a; mallku key rotate; touch go; wait");

        var refused = _scratch.Run("mallku get a");
        Assert.Equal(4, refused.ExitCode);
        Assert.Contains("mallku key recover", refused.Error, StringComparison.Ordinal);
        Assert.Equal(4, _scratch.Run("echo three | mallku set a").ExitCode);

        Assert.StartsWith("merged b\n", _scratch.Run("mallku key recover").Error, StringComparison.Ordinal);
        Assert.Equal("two\nby Python\n", Run("mallku get a; mallku get b"));
        Assert.Equal("2 1\n", Run("mallku history a | cut -f1 | paste -s -d ' '"));
    }

    private string Run(string line)
    {
        var outcome = _scratch.Run(line);
        Assert.True(outcome.ExitCode == 0, $"{line}: exit {outcome.ExitCode}: {outcome.Error}");
        return outcome.Output;
    }
}
