using System.Security.Cryptography;
using System.Text;

namespace Mallku.Cli.Tests;

/// <summary>
/// A value that was put in once is afterwards in no byte of what any verb prints or leaves on the disk, but for the verbs
/// whose work is to give it out.
/// </summary>
public sealed class CanaryTests : IDisposable
{
    private readonly string _canary = "canary" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12));
    private readonly Scratch _scratch = new();

    // what a user imports lies in the clear by nature: not in the folder that is searched
    private readonly string _outside = Directory.CreateTempSubdirectory("mallku-canary-").FullName;

    public void Dispose()
    {
        _scratch.Dispose();
        Directory.Delete(_outside, recursive: true);
    }

    [Fact]
    public void No_verb_shows_or_leaves_a_value_when_all_is_well()
    {
        Prepare();
        Check(0, "mallku set another --generate", "mallku list", "mallku list --json", "mallku explain openai_api_key", "mallku explain openai_api_key --json");
        Check(0, "mallku history openai_api_key", "mallku history openai_api_key --json", "mallku key status", "mallku key status --json");
        Check(0, "mallku doctor", "mallku doctor --json", "mallku key rotate", "mallku list", "mallku completion bash", "mallku completion zsh");
        Check(0, "mallku audit log", "mallku audit log --json", "mallku audit report", "mallku audit report --json", "mallku audit verify");
        Check(0, "mallku audit checkpoint", "mallku audit key", "mallku audit prove 1", "mallku audit close", "cat .secrets/ledger/*");
        Check(0, "mallku completion fish", "mallku completion pwsh", "mallku help", "mallku --version");
        Check(0, "OPENAI_API_KEY=$CANARY mallku list", "OPENAI_API_KEY=$CANARY mallku explain openai_api_key --json");
        Write("keys.env", $"IMPORTED_KEY={_canary}\nEXPORTED=\"{_canary}\"\n");
        Check(0, "mallku import $OUTSIDE/keys.env", "mallku import --overwrite $OUTSIDE/keys.env");
        Write("keys.json", $$"""{"nested": "{{_canary}}", "Section:Key": "{{_canary}}"}""");
        Check(0, "mallku import $OUTSIDE/keys.json");
        Check(0, "printf %s \"$CANARY\" | mallku set openai_api_key", "mallku rm --yes openai_api_key", "mallku history openai_api_key");
    }

    [Fact]
    public void No_usage_error_repeats_what_was_typed()
    {
        Prepare();
        Check(2, "mallku set openai_api_key $CANARY", "mallku set openai_api_key --value $CANARY", "mallku set openai_api_key=$CANARY");
        Check(2, "mallku $CANARY", "mallku get openai_api_key $CANARY", "mallku get --$CANARY", "mallku list $CANARY", "mallku rm openai_api_key $CANARY");
        Check(2, "mallku rm -y $CANARY/+=", "mallku history $CANARY/+=", "mallku explain $CANARY/+=", "mallku explain --json $CANARY/+=");
        Check(2, "mallku run --only $CANARY/+= -- true", "mallku run --except $CANARY/+= -- true");
        Check(2, "mallku export --format $CANARY", "mallku run --env $CANARY -- true", "mallku completion $CANARY", "mallku help $CANARY");
        Check(2, "mallku audit $CANARY", "mallku audit log --since $CANARY", "mallku audit log --kind $CANARY", "mallku audit prove $CANARY", "mallku audit verify --key $CANARY");
        Check(1, "mallku import $OUTSIDE/absent");
    }

    [Fact]
    public void No_refused_value_is_shown_or_left()
    {
        Prepare();
        Check(1, "printf '' | mallku set openai_api_key", "printf '%s\\377' \"$CANARY\" | mallku set openai_api_key");
        Check(1, "yes \"$CANARY\" | head -c 1100000 | mallku set openai_api_key");
        Check(2, "printf %s \"$CANARY\" | mallku set 'no/name'");
        Write("bad.json", $$"""{"key": "{{_canary}}", """);
        Write("root.json", $$"""["{{_canary}}"]""");
        Write("bad.env", $"KEY=\"{_canary}\nno end\n");
        Write("name.env", $"{_canary}/x={_canary}\n{_canary}\n");
        Check(1, "mallku import $OUTSIDE/bad.json", "mallku import $OUTSIDE/root.json", "mallku import $OUTSIDE/bad.env");
        CheckAny("mallku import $OUTSIDE/name.env");
        Check(0, "yes \"$CANARY\" | head -c 200000 | mallku set too_long");
        Check(1, "mallku run --only too_long -- true");
        Check(0, "printf '%s\\000%s' \"$CANARY\" \"$CANARY\" | mallku set with_zero");
        Check(1, "mallku run --only with_zero -- true");
    }

    [Fact]
    public void No_vault_that_does_not_open_gives_a_value_away()
    {
        Prepare();
        Check(4, "MALLKU_ENCRYPTION_KEY=$CANARY mallku list", "MALLKU_ENCRYPTION_KEY=cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4= mallku get openai_api_key");
        Check(4, "chmod 755 .secrets; mallku get openai_api_key; code=$?; chmod 700 .secrets; exit $code");
        Check(4, "cp -p .secrets/mallku-secrets.json.encrypted $OUTSIDE/vault; printf x >> .secrets/mallku-secrets.json.encrypted; mallku get openai_api_key");
        CheckAny("mallku doctor", "mallku key status", "mallku list --json", "mallku explain openai_api_key", "mallku key rotate");
        Check(4, ": > .secrets/mallku-secrets.json.encrypted; printf %s \"$CANARY\" | mallku set openai_api_key");
        Check(0, "cp -p $OUTSIDE/vault .secrets/mallku-secrets.json.encrypted; mallku list");
        Check(0, "printf x >> .secrets/mallku-secrets.json.encrypted; mallku key recover; mallku doctor");
        Check(1, "flock .secrets/.lock sh -c 'printf %s \"$CANARY\" | mallku set openai_api_key'");
    }

    [Fact]
    public void No_verb_shows_or_leaves_a_value_that_was_typed_as_a_name()
    {
        Prepare();
        Check(3, "mallku get $CANARY", "mallku get -n $CANARY", "mallku history $CANARY", "mallku rm -y $CANARY", "mallku explain $CANARY", "mallku explain --json $CANARY");
        Check(3, "mallku run --only $CANARY -- true", "mallku run --except $CANARY -- true", "mallku run --env A=$CANARY -- true");
        Check(2, "echo value | mallku set $CANARY", "mallku set --generate $CANARY");
        Check(3, "mallku --dir absent/.secrets get $CANARY || exit 3", "MALLKU_NO_LEDGER=1 mallku get $CANARY");
        Check(0, "mallku audit log --secret $CANARY", "mallku audit log --json", "mallku audit report", "mallku audit unusual", "mallku complete -- get $CANARY", "cat .secrets/ledger/*");
        AssertNotInLedger(_canary);
    }

    [Fact]
    public void No_verb_leaves_a_name_in_a_ledger_with_pseudonyms()
    {
        const string hidden = "hiddenname";
        Check(0, "mallku init --pseudonyms", "printf 1 | mallku set hiddenname_one", "printf 2 | mallku set hiddenname-ONE", "mallku set hiddenname_two --generate");
        Check(0, "mallku get hiddenname_one", "mallku export --format json", "mallku run --only hiddenname_one -- true", "mallku run -- true", "HIDDENNAME_THREE=1 mallku get hiddenname_three");
        Check(3, "mallku get hiddenname_absent", "mallku run --only hiddenname_absent -- true", "mallku rm -y hiddenname_absent");
        Write("names.json", """{"hiddenname.four": "1", "hiddenname__five": "2"}""");
        Check(0, "mallku import $OUTSIDE/names.json", "mallku rm -y hiddenname_two", "mallku key rotate", "mallku audit close", "mallku list", "mallku get hiddenname.four");
        Check(0, "mallku --no-ledger get hiddenname_one 2>/dev/null || mallku get hiddenname_one --no-ledger", "printf 3 | mallku set hiddenname_one --no-ledger", "printf 4 | mallku set hiddenname_one");
        Check(0, "printf x >> .secrets/mallku-secrets.json.encrypted; mallku key recover", "mallku get hiddenname_one", "printf x >> .secrets/ledger/00000000000000000000.jsonl");
        Check(0, "mallku audit restart --yes", "printf 5 | mallku set hiddenname_one", "mallku get hiddenname_one", "mallku audit verify", "mallku doctor");
        Check(0, "mallku audit log --secret hiddenname_one | grep -q hiddenname_one");
        AssertNotInLedger(hidden);
    }

    // as it is, in hexadecimal, and in base64 at each of its three places, where the characters that depend on others are left out
    private void AssertNotInLedger(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        string[] spellings =
        [
            text, Convert.ToHexString(bytes),
            .. new[] { 0, 1, 2 }.Select(shift => Convert.ToBase64String([.. new byte[shift], .. bytes]).TrimEnd('=')[(shift == 0 ? 0 : shift + 1)..^2]),
        ];
        var files = Directory.GetDirectories(_scratch[".secrets"], "ledger*").SelectMany(Directory.GetFiles).ToList();
        Assert.Contains(files, file => file.EndsWith(".jsonl", StringComparison.Ordinal));
        foreach (var file in files)
        {
            var content = File.ReadAllText(file);
            Assert.All(spellings, spelling => Assert.False(content.Contains(spelling, StringComparison.OrdinalIgnoreCase), $"{spelling} in {file}"));
        }
    }

    private void Prepare()
    {
        Check(0, "mallku init", "printf %s \"$CANARY\" | mallku set openai_api_key");
        // the search itself must find what is there
        Assert.Contains(_canary, Run("mallku get openai_api_key").Output, StringComparison.Ordinal);
    }

    private void Check(int exitCode, params IEnumerable<string> lines)
    {
        foreach (var line in lines)
        {
            var outcome = Inspect(line);
            Assert.True(outcome.ExitCode == exitCode, $"{line}: exit {outcome.ExitCode}, expected {exitCode}: {outcome.Error}");
        }
    }

    private void CheckAny(params IEnumerable<string> lines)
    {
        foreach (var line in lines)
        {
            Inspect(line);
        }
    }

    private Outcome Inspect(string line)
    {
        var outcome = Run(line);
        Assert.False(outcome.Output.Contains(_canary, StringComparison.OrdinalIgnoreCase), $"{line}: a value on standard output");
        Assert.False(outcome.Error.Contains(_canary, StringComparison.OrdinalIgnoreCase), $"{line}: a value on standard error");
        var needle = Encoding.UTF8.GetBytes(_canary);
        foreach (var file in Directory.EnumerateFiles(_scratch.Folder, "*", new EnumerationOptions { AttributesToSkip = default, RecurseSubdirectories = true }))
        {
            Assert.False(file.Contains(_canary, StringComparison.OrdinalIgnoreCase), $"{line}: a value in a file's name");
            Assert.True(File.ReadAllBytes(file).AsSpan().IndexOf(needle) < 0, $"{line}: a value in {file}");
        }

        return outcome;
    }

    // the shell's own arguments would show the value to nobody but this test
    private Outcome Run(string line) => _scratch.Run($"CANARY={_canary}; OUTSIDE={_outside}; export CANARY; {line}");

    private void Write(string file, string text) => File.WriteAllBytes(Path.Combine(_outside, file), Encoding.UTF8.GetBytes(text));
}
