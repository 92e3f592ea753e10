using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Tests.Vault;

/// <summary>One folder, two programs: Python's <c>json</c> and <c>cryptography</c> on one side, the vault on the other.</summary>
public sealed class PythonTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_Python_wrote_is_read()
    {
        using var folder = new TemporaryFolder();
        PythonProgram.Write(folder.Vault, """{"openai_api_key": "sk-1", "other": "with \"quotes\" and \\ and \n", "Grüße": "日本 🦙"}""");

        Assert.Equal("sk-1", await folder.GetAsync("openai_api_key"));
        Assert.Equal("with \"quotes\" and \\ and \n", await folder.GetAsync("other"));
        Assert.Equal("日本 🦙", await folder.GetAsync("Grüße"));
        var facts = await folder.Open().ListAsync(Cancel);
        Assert.Equal(["Grüße", "openai_api_key", "other"], [.. facts.Select(fact => fact.Name)]);
        Assert.All(facts, fact => Assert.Equal(1, fact.Version));
    }

    [Fact]
    public async Task Python_reads_what_was_written()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        var values = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["plain"] = "sk-1",
            ["quotes"] = "\"\\/\b\f\n\r\t",
            ["controls"] = "\u0001\u001f\u007f\u0085\u2028",
            ["wide"] = "äß日本🦙",
        };
        foreach (var (name, value) in values)
        {
            await folder.SetAsync(name, value);
        }

        var read = Plaintext.Members(PythonProgram.Read(folder.Vault));
        Assert.Equal(values.Count + 1, read.Count);
        Assert.All(values, pair => Assert.Equal(pair.Value, Decode(read[pair.Key])));
        Assert.Contains("$mallku", read);
    }

    [Fact]
    public async Task The_reserved_member_survives_a_Python_update()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("kept", "first");
        await folder.SetAsync("kept", "second");
        var before = Canonical(Plaintext.Read(folder));

        PythonProgram.Update(folder.Vault, """{"set": {"added": "by Python"}}""");

        Assert.Equal(before, Canonical(Plaintext.Read(folder)));
        Assert.Equal([(2, SecretVersionState.Current, "set"), (1, SecretVersionState.Previous, "set")], await HistoryAsync(folder, "kept"));

        static string Canonical(string plaintext) =>
            System.Text.Json.Nodes.JsonNode.Parse(Plaintext.Members(plaintext)["$mallku"])!.ToJsonString();
    }

    [Fact]
    public async Task A_Python_change_is_the_next_version_and_the_former_becomes_previous()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "first");
        await folder.SetAsync("a", "second");
        PythonProgram.Update(folder.Vault, """{"set": {"a": "third"}}""");

        Assert.Equal("third", await folder.GetAsync("a"));
        (int, SecretVersionState, string)[] expected =
        [
            (3, SecretVersionState.Current, "external"), (2, SecretVersionState.Previous, "set"), (1, SecretVersionState.Retired, "set"),
        ];
        Assert.Equal(expected, await HistoryAsync(folder, "a"));

        await folder.SetAsync("b", "records it");
        Assert.Equal(expected, await HistoryAsync(folder, "a"));
        Assert.Equal("third", await folder.GetAsync("a"));
    }

    [Fact]
    public async Task The_same_value_written_again_by_Python_is_no_new_version()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "grün \"\u0001");
        Plaintext.Write(folder, Plaintext.Read(folder).Replace("{\"$mallku\"", "{\"n\":1.50,\"$mallku\"", StringComparison.Ordinal));
        await folder.SetAsync("b", "records it");

        PythonProgram.Update(folder.Vault, "{}");

        Assert.Equal((1, SecretVersionState.Current, "set"), Assert.Single(await HistoryAsync(folder, "a")));
    }

    [Fact]
    public async Task Two_readers_find_the_same_id_for_an_outside_version_and_it_stays()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "first");
        PythonProgram.Update(folder.Vault, """{"set": {"a": "second", "b": "new"}}""");

        var (one, other) = (await IdsAsync(folder), await IdsAsync(folder));
        Assert.Equal(one, other);
        Assert.Equal(3, one.Distinct(StringComparer.Ordinal).Count());
        Assert.All(one, id => Assert.Matches("^[0-9a-f]{32}$", id));

        await folder.SetAsync("c", "records both");
        Assert.Equal(one, await IdsAsync(folder));

        static async Task<string[]> IdsAsync(TemporaryFolder folder)
        {
            var vault = folder.Open().Vault;
            var histories = new[]
            {
                await vault.GetHistoryAsync(SecretName.Parse("a"), Cancel), await vault.GetHistoryAsync(SecretName.Parse("b"), Cancel),
            };
            return [.. histories.SelectMany(history => history!.Versions).Select(version => version.Id)];
        }
    }

    [Fact]
    public async Task A_Python_removal_is_a_removal_and_the_numbers_are_never_used_again()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "first");
        await folder.SetAsync("a", "second");
        PythonProgram.Update(folder.Vault, """{"remove": ["a"]}""");

        Assert.Null(await folder.GetAsync("a"));
        Assert.Empty(await folder.Open().ListAsync(Cancel));
        Assert.NotNull((await folder.Open().Vault.GetHistoryAsync(SecretName.Parse("a"), Cancel))!.Removed);

        await folder.SetAsync("b", "records the removal");
        Assert.DoesNotContain("first", Plaintext.Read(folder), StringComparison.Ordinal);
        Assert.DoesNotContain("second", Plaintext.Read(folder), StringComparison.Ordinal);

        PythonProgram.Update(folder.Vault, """{"set": {"a": "third"}}""");
        Assert.Equal(
            [(3, SecretVersionState.Current, "external"), (2, SecretVersionState.Retired, "set"), (1, SecretVersionState.Retired, "set")],
            await HistoryAsync(folder, "a"));
        Assert.Equal(4, (await folder.SetAsync("a", "fourth")).Version);
    }

    [Theory]
    [InlineData("""12345678901234567890123456789012345678901""")]
    [InlineData("""-0.10e+5""")]
    [InlineData("""1e400""")]
    [InlineData("""{"z": [1, {"y": null}, "two"], "a": {}}""")]
    [InlineData("""true""")]
    [InlineData("""null""")]
    [InlineData("""NaN""")]
    [InlineData("""[Infinity, -Infinity, {"deep": NaN}]""")]
    [InlineData("\"Gr\\u00fc\\u00dfe \\ud83e\\udd99 \\/\"")]
    public async Task A_value_of_any_form_is_kept_byte_for_byte(string token)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, $$"""{"before": "b", "odd": {{token}}, "after": "NaN, Infinity \\\""}""");
        var expected = token.StartsWith('"') ? "Grüße 🦙 /" : token;

        Assert.Equal(expected, await folder.GetAsync("odd"));
        await folder.SetAsync("another", "value");

        Assert.Equal(expected, await folder.GetAsync("odd"));
        Assert.Equal("NaN, Infinity \\\"", await folder.GetAsync("after"));
        Assert.Contains($"\"odd\":{token},", Plaintext.Read(folder), StringComparison.Ordinal);
        Assert.Equal((1, SecretVersionState.Current, "external"), Assert.Single(await HistoryAsync(folder, "odd")));
        // and Python still reads the file
        Assert.Contains("\"another\": \"value\"", PythonProgram.Read(folder.Vault), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Python_keeps_what_it_wrote_itself_through_a_write_of_another_secret()
    {
        const string values = """
            "big": 1234567890123456789012345678901234567890, "float": 0.1, "huge": Infinity, "nan": NaN, "no": null, "nested": {"b": [1, {"a": "\u00fc"}]}, "umlaut": "\u00fc\ud83e\udd99", "half": "\ud800", "\udfff": "no name"
            """;
        using var folder = new TemporaryFolder();
        PythonProgram.Write(folder.Vault, "{" + values + "}");
        await folder.SetAsync("another", "value");

        var plaintext = Plaintext.Read(folder);
        var read = PythonProgram.Read(folder.Vault);
        foreach (var member in values.Trim().Split(", "))
        {
            Assert.Contains(member.Replace("\": ", "\":", StringComparison.Ordinal), plaintext.Replace("\": ", "\":", StringComparison.Ordinal), StringComparison.Ordinal);
            Assert.Contains(member, read, StringComparison.Ordinal);
        }

        // what Python writes back is what was there, so nothing of it is new
        PythonProgram.Update(folder.Vault, "{}");
        foreach (var name in new[] { "big", "float", "huge", "nan", "no", "nested", "umlaut", "half" })
        {
            Assert.Equal(1, Assert.Single(await HistoryAsync(folder, name)).Number);
        }
    }

    [Fact]
    public async Task A_value_that_is_no_text_is_an_error_of_its_own_and_is_kept()
    {
        using var folder = new TemporaryFolder();
        PythonProgram.Write(folder.Vault, """{"half": "\ud800", "whole": "w", "\udc00": "v"}""");

        var error = await Assert.ThrowsAsync<SecretsException>(() => folder.GetAsync("half"));
        Assert.Contains("half", error.Problem, StringComparison.Ordinal);
        Assert.Equal("w", await folder.GetAsync("whole"));
        // a name that is no text can't be asked for; it is only kept
        Assert.Equal(["half", "whole"], [.. (await folder.Open().ListAsync(Cancel)).Select(fact => fact.Name)]);

        await folder.SetAsync("whole", "changed");
        Assert.Contains("\"half\":\"\\ud800\"", Plaintext.Read(folder), StringComparison.Ordinal);
        Assert.Contains("\"\\udc00\":\"v\"", Plaintext.Read(folder), StringComparison.Ordinal);
        await folder.SetAsync("half", "mended");
        Assert.Equal("mended", await folder.GetAsync("half"));
        Assert.Contains("\"\\udc00\": \"v\"", PythonProgram.Read(folder.Vault), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_last_of_two_members_of_one_name_counts_as_in_Python()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        Plaintext.Write(folder, """{"a": "first", "b": "x", "a": "last"}""");

        Assert.Equal("last", await folder.GetAsync("a"));
        Assert.StartsWith("{\"a\": \"last\"", PythonProgram.Read(folder.Vault), StringComparison.Ordinal);
        await folder.SetAsync("b", "y");
        Assert.Equal("last", await folder.GetAsync("a"));
        Assert.DoesNotContain("first", Plaintext.Read(folder), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_value_500_levels_deep_is_read_and_kept()
    {
        var deep = new string('[', 500) + new string(']', 500);
        using var folder = new TemporaryFolder();
        PythonProgram.Write(folder.Vault, $$"""{"deep": {{deep}}}""");

        Assert.Equal(deep, await folder.GetAsync("deep"));
        await folder.SetAsync("another", "value");
        Assert.Equal(deep, await folder.GetAsync("deep"));
        Assert.Contains($"\"deep\": {deep}", PythonProgram.Read(folder.Vault), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_secret_file_wins_and_the_next_write_of_any_name_takes_it_in()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "from the vault");
        PythonProgram.WriteSecretFile(folder.Vault, "a", "\"from the file\"");
        PythonProgram.WriteSecretFile(folder.Vault, "b", "\"only a file\"");

        Assert.Equal("from the file", await folder.GetAsync("a"));
        Assert.Equal("only a file", await folder.GetAsync("b"));
        Assert.Equal(["a", "b"], [.. (await folder.Open().ListAsync(Cancel)).Select(fact => fact.Name)]);

        var change = await folder.SetAsync("c", "of another name");

        Assert.Equal(["a.secret", "b.secret"], [.. change.Absorbed.Order(StringComparer.Ordinal)]);
        Assert.Empty(Directory.GetFiles(folder.Vault, "*.secret"));
        Assert.Equal("from the file", await folder.GetAsync("a"));
        Assert.Equal("only a file", await folder.GetAsync("b"));
        Assert.Equal([(2, SecretVersionState.Current, "external"), (1, SecretVersionState.Previous, "set")], await HistoryAsync(folder, "a"));
        Assert.Equal((1, SecretVersionState.Current, "external"), Assert.Single(await HistoryAsync(folder, "b")));
    }

    [Fact]
    public async Task A_set_of_the_file_s_own_name_makes_the_file_s_value_the_previous_one()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        PythonProgram.WriteSecretFile(folder.Vault, "a", "\"from the file\"");

        Assert.Equal(["a.secret"], (await folder.SetAsync("a", "set after it")).Absorbed);

        Assert.Equal("set after it", await folder.GetAsync("a"));
        Assert.Equal([(2, SecretVersionState.Current, "set"), (1, SecretVersionState.Previous, "external")], await HistoryAsync(folder, "a"));
        Assert.Empty(Directory.GetFiles(folder.Vault, "*.secret"));
    }

    [Fact]
    public async Task A_rotation_takes_secret_files_in_since_they_are_under_the_former_key()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        PythonProgram.WriteSecretFile(folder.Vault, "a", "\"from the file\"");

        var rotation = await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);

        Assert.Equal(["a.secret"], rotation.Absorbed);
        Assert.Equal(1, rotation.Secrets);
        Assert.Empty(Directory.GetFiles(folder.Vault, "*.secret"));
        Assert.Equal("from the file", await folder.GetAsync("a"));
        Assert.Contains("\"a\": \"from the file\"", PythonProgram.Read(folder.Vault), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"a\": [NaN, {\"b\": -Infinity}]}")]
    [InlineData("NaN")]
    [InlineData("12345678901234567890123456789012345678901")]
    public async Task A_secret_file_holds_any_value_that_Python_writes(string token)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        PythonProgram.WriteSecretFile(folder.Vault, "odd", token);

        Assert.Equal(token, await folder.GetAsync("odd"));
        await folder.SetAsync("another", "value");
        Assert.Equal(token, await folder.GetAsync("odd"));
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("")]
    public async Task A_damaged_secret_file_is_an_error_for_its_own_name_only(string content)
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "in the vault");
        await folder.SetAsync("b", "untouched");
        var file = Path.Combine(folder.Vault, "a.secret");
        await File.WriteAllTextAsync(file, content, Cancel);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var keyBefore = await File.ReadAllBytesAsync(folder.KeyFile, Cancel);

        // never the vault's older value in its place
        Assert.Contains(file, (await Assert.ThrowsAsync<VaultOpenException>(() => folder.GetAsync("a"))).Problem, StringComparison.Ordinal);
        Assert.Equal("untouched", await folder.GetAsync("b"));
        await Assert.ThrowsAsync<VaultOpenException>(() => folder.SetAsync("a", "not written"));
        await Assert.ThrowsAsync<VaultOpenException>(async () => await folder.Open().RemoveAsync("a", Cancel));
        await Assert.ThrowsAsync<VaultOpenException>(async () => await VaultKeys.RotateAsync(folder.Open().Vault, Cancel));
        Assert.Equal(keyBefore, await File.ReadAllBytesAsync(folder.KeyFile, Cancel));
        Assert.False(File.Exists(folder.KeyFile + ".next"));

        Assert.Empty((await folder.SetAsync("b", "changed")).Absorbed);
        Assert.Equal("changed", await folder.GetAsync("b"));
        Assert.Equal(content, await File.ReadAllTextAsync(file, Cancel));
        Assert.Equal("in the vault", Decode(Plaintext.Members(Plaintext.Read(folder))["a"]));
    }

    [Fact]
    public async Task A_writer_with_the_former_key_is_detected_and_what_it_wrote_is_merged()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("b", "b1");
        await folder.SetAsync("dropped", "d1");
        using var python = PythonProgram.Load(folder.Vault);
        await folder.SetAsync("b", "b2");
        await folder.SetAsync("c", "c1");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        // it remembers b1, has never heard of c, and does not hold the new key
        python.Write("""{"set": {"a": "a2", "p": "p1"}, "remove": ["dropped"]}""");

        await AssertRefusedUntilRecoveredAsync(folder);

        Assert.Equal(["a", "p"], [.. (await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel)).Names.Order(StringComparer.Ordinal)]);
        Assert.Equal("a2", await folder.GetAsync("a"));
        Assert.Equal("b2", await folder.GetAsync("b"));
        Assert.Equal("c1", await folder.GetAsync("c"));
        Assert.Equal("p1", await folder.GetAsync("p"));
        // that it is not in the outside file is no removal
        Assert.Equal("d1", await folder.GetAsync("dropped"));
        // the numbers that the write before it may have used are left out
        Assert.Equal([(5, SecretVersionState.Current, "external"), (1, SecretVersionState.Previous, "set")], await HistoryAsync(folder, "a"));
        Assert.Equal([(2, SecretVersionState.Current, "set"), (1, SecretVersionState.Previous, "set")], await HistoryAsync(folder, "b"));
        Assert.Contains("\"p\": \"p1\"", PythonProgram.Read(folder.Vault), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_writer_that_started_afresh_is_detected_and_what_it_wrote_is_merged()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        await folder.SetAsync("a", "a2");
        await VaultKeys.RotateAsync(folder.Open().Vault, Cancel);
        PythonProgram.Write(folder.Vault, """{"x": "y"}""");

        await AssertRefusedUntilRecoveredAsync(folder);

        Assert.Equal(["x"], (await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel)).Names);
        Assert.Equal("y", await folder.GetAsync("x"));
        Assert.Equal("a2", await folder.GetAsync("a"));
        Assert.Equal([(2, SecretVersionState.Current, "set"), (1, SecretVersionState.Previous, "set")], await HistoryAsync(folder, "a"));
    }

    [Fact]
    public async Task A_healthy_vault_is_not_recovered()
    {
        using var folder = await TemporaryFolder.WithVaultAsync();
        await folder.SetAsync("a", "a1");
        PythonProgram.Update(folder.Vault, """{"set": {"a": "a2"}}""");
        var before = folder.Photograph();

        var error = await Assert.ThrowsAsync<SecretsException>(async () => await VaultRecovery.RecoverAsync(folder.Open().Vault, asIs: false, Cancel));

        Assert.Contains("nothing to recover", error.Problem, StringComparison.Ordinal);
        Assert.Equal(before, folder.Photograph());
    }

    private static async Task AssertRefusedUntilRecoveredAsync(TemporaryFolder folder)
    {
        var before = folder.Photograph();
        Assert.Contains(before.Keys, path => path.EndsWith(".encrypted.previous", StringComparison.Ordinal));
        Func<Task>[] uses =
        [
            () => folder.GetAsync("a"),
            () => folder.SetAsync("a", "not written"),
            async () => await folder.Open().ListAsync(Cancel),
            async () => await folder.Open().RemoveAsync("a", Cancel),
            async () => await VaultKeys.RotateAsync(folder.Open().Vault, Cancel),
        ];
        foreach (var use in uses)
        {
            var error = await Assert.ThrowsAsync<VaultOpenException>(use);
            Assert.Contains("mallku key recover", error.Remedy, StringComparison.Ordinal);
        }

        Assert.Equal(before, folder.Photograph());
    }

    private static async Task<(int Number, SecretVersionState State, string Source)[]> HistoryAsync(TemporaryFolder folder, string name) =>
        [.. (await folder.Open().Vault.GetHistoryAsync(SecretName.Parse(name), Cancel))!.Versions.Select(version => (version.Number, version.State, version.Source))];

    private static string Decode(string token) => System.Text.Json.JsonSerializer.Deserialize<string>(token)!;
}
