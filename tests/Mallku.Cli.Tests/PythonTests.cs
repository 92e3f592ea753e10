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
    public async Task Names_that_only_Python_writes_are_aligned_by_the_columns_that_a_terminal_gives_them()
    {
        Run($$"""echo '{"abcdef": "1", "\u65e5\u672c\u8a9e": "1", "e\u0301": "1", "\u26a1": "1", "\u1112\u1161\u11ab": "1"}' | {{_python}} write .secrets""");
        using var pty = new Pty(_scratch, "mallku list");
        Assert.Equal(0, await pty.End());
        foreach (var (name, columns) in new[] { ("abcdef", 6), ("日本語", 6), ("e\u0301", 1), ("⚡", 2), ("\u1112\u1161\u11ab", 2) })
        {
            Assert.Contains($"\n{name}{new string(' ', 8 - columns)}1 ", pty.Screen, StringComparison.Ordinal);
        }
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

    [Fact]
    public void Git_does_not_see_a_folder_that_Python_began_once_it_is_written_here()
    {
        Run($$"""echo '{"a": "v"}' | {{_python}} write .secrets""");
        Run("mallku get a; mallku list; mallku doctor");
        Assert.False(File.Exists(_scratch[".secrets/.gitignore"]));

        Assert.Equal(
            $"mallku: note: made {_scratch[".secrets/.gitignore"]}: git adds nothing of the folder from now on\n",
            _scratch.Run("echo v | mallku set c 2>&1 | grep gitignore").Output);
        Assert.Equal("*\n", File.ReadAllText(_scratch[".secrets/.gitignore"]));
    }

    [Fact]
    public void A_secret_with_the_empty_name_can_be_removed()
    {
        Run($$"""echo '{"": "v", "b": "v"}' | {{_python}} write .secrets""");
        Assert.Contains("removed the secret with the empty name, which was at version 1\n", _scratch.Run("mallku rm '' --yes").Error, StringComparison.Ordinal);
        Assert.Equal("b\n", Run("mallku list | cut -f1"));
    }

    [Fact]
    public void A_name_that_exists_is_never_hidden_whatever_it_looks_like()
    {
        const string name = "d41d8cd98f00b204e9800998ecf8427e";
        Run($$"""echo '{"{{name}}": "1"}' | {{_python}} write .secrets""");
        Assert.Equal("1\n", Run($"mallku get {name}"));
        Assert.StartsWith(
            $"mallku: note: '{name.ToUpperInvariant()}' is stored as '{name}'\nset {name}, version 2\n",
            _scratch.Run($"echo 2 | mallku set {name.ToUpperInvariant()}").Error,
            StringComparison.Ordinal);
        Assert.Equal($"{name}\toverwrite\t{name}\t-\n", Run($$"""echo '{"{{name}}": "3"}' | mallku import - --overwrite"""));
        Assert.Equal("3\n", Run($"mallku get {name.ToUpperInvariant()}"));
    }

    [Fact]
    public void A_value_that_is_no_text_is_left_out_of_an_export()
    {
        Run($$"""echo '{"half": "\ud800", "whole": "v"}' | {{_python}} write .secrets""");
        Assert.Equal(1, _scratch.Run("mallku export --format json").ExitCode);
        Assert.Equal("WHOLE=v\n", Run("mallku export --format env --except half"));
        Assert.Equal("WHOLE=v\n", Run("mallku export --format env --only whole"));
    }

    [Fact]
    public void An_entry_of_a_kind_that_a_later_version_writes_is_shown_as_it_is_and_verified()
    {
        Run("mallku init; echo one | mallku set a; mallku get a");
        Run($"/usr/bin/python3 -B {Path.Combine(AppContext.BaseDirectory, "later_version.py")} .secrets 'braid\u001bed'");
        Run("mallku get a");

        Assert.Equal("opened|created|read|braid?ed|read\n", Run("mallku audit log | cut -f3 | paste -s -d '|'"));
        Assert.Equal("3 braid\u001bed a 3\n", Run("mallku audit log --json | jq -r '.[3] | \"\\(.index) \\(.kind) \\(.secret) \\(.count)\"'"));
        Assert.Equal("2\n", Run("mallku audit log --kind read | wc -l"));
        Assert.Equal("a 2\n", Run("mallku audit report | cut -f1,3 | tr '\t' ' '"));
        Run("mallku audit unusual && mallku audit verify && mallku doctor");
        Assert.Contains("Z braid?ed a, 3 times, by ana@mercury, later 1\n", Run("mallku audit prove 3 > proof; mallku audit check proof"), StringComparison.Ordinal);
        Assert.Equal(2, _scratch.Run("mallku audit log --kind braided").ExitCode);
    }

    private string Run(string line)
    {
        var outcome = _scratch.Run(line);
        Assert.True(outcome.ExitCode == 0, $"{line}: exit {outcome.ExitCode}: {outcome.Error}");
        return outcome.Output;
    }
}
