namespace Mallku.FireCircle.Tests;

/// <summary>What the catalogue holds, and what a user may write into it.</summary>
public sealed class CatalogueTests
{
    private const string Whole = """
        { "providers": [ {
            "id": "mine", "name": "Mine", "aliases": ["m"], "protocol": "openai", "baseUrl": "https://host/v1",
            "key": { "header": "bearer", "secrets": ["mine_api_key"], "pattern": "mine-[a-z]{4}" },
            "check": { "path": "models" }
        } ] }
        """;

    [Fact]
    public void Every_provider_is_found_by_its_ids_and_looks_for_the_usual_names_first()
    {
        Assert.Superset(
            new HashSet<string>(["openai", "anthropic", "google", "mistral", "xai", "deepseek", "moonshot", "ollama", "local"], StringComparer.Ordinal),
            new HashSet<string>(ProviderCatalogue.BuiltIn.All.Select(provider => provider.Id), StringComparer.Ordinal));
        foreach (var provider in ProviderCatalogue.BuiltIn.All)
        {
            Assert.All(provider.Aliases, alias => Assert.Same(provider, ProviderCatalogue.BuiltIn.Find(alias.ToUpperInvariant())));
            Assert.Equal(($"{provider.Id}_api_key", $"{provider.Id}_key"), (provider.Key.Secrets[0], provider.Key.Secrets[1]));
            Assert.Contains($"{provider.Id.ToUpperInvariant()}_API_KEY", provider.Key.Secrets, StringComparer.Ordinal);
            Assert.Null(ProviderRules.FindFault(provider));
        }
    }

    [Theory]
    [InlineData("anthropic", "sk-ant-api03-", 93, "AA")]
    [InlineData("google", "AIza", 35, "")]
    [InlineData("xai", "xai-", 80, "")]
    public void A_key_is_recognised_by_its_own_provider_alone(string id, string prefix, int length, string suffix)
    {
        var key = prefix + new string('a', length) + suffix;
        Assert.Equal([id], ProviderCatalogue.BuiltIn.All.Where(provider => provider.Key.Recognizes(key)).Select(provider => provider.Id).ToList());
        Assert.DoesNotContain(ProviderCatalogue.BuiltIn.All, provider => provider.Key.Recognizes(key + "\n"));
    }

    [Fact]
    public async Task An_entry_of_a_user_is_added_or_takes_the_place_of_one_of_the_same_id()
    {
        await using var stage = await Stage.SetAsync();
        var added = await stage.LoadProvidersAsync(Whole);
        Assert.Equal("mine", added.Find("m").Id);
        Assert.Equal([200], added.Find("m").Check.Works);
        Assert.True(added.Find("mine").Key.Recognizes("mine-abcd"));
        Assert.Equal(ProviderCatalogue.BuiltIn.All.Count + 1, added.All.Count);

        var replaced = await stage.LoadProvidersAsync(Whole.Replace("\"mine\"", "\"openai\"", StringComparison.Ordinal));
        Assert.Equal("host", replaced.Find("openai").BaseUrl.Host);
        Assert.Equal(ProviderCatalogue.BuiltIn.All.Count, replaced.All.Count);
    }

    [Theory]
    [InlineData("https://host/v1", "http://host/v1", "in the clear")]
    [InlineData("https://host/v1", "/v1", "https://")]
    [InlineData("https://host/v1", "https://a:b@host/v1", "more than")]
    [InlineData("https://host/v1", "https://host/v1?a=b", "more than")]
    [InlineData("\"id\": \"mine\"", "\"id\": \"Mine!\"", "an id that is none")]
    [InlineData("mine_api_key", "no/name", "names of secrets")]
    [InlineData("[\"mine_api_key\"]", "[]", "names of secrets")]
    [InlineData("mine-[a-z]{4}", "(?=a)b", "regular expression")]
    [InlineData("mine-[a-z]{4}", "(", "regular expression")]
    [InlineData("\"models\"", "\"https://elsewhere/models\"", "check.path")]
    [InlineData("\"models\"", "\"../admin\"", "check.path")]
    [InlineData("\"bearer\"", "\"cookie\"", "key.header")]
    [InlineData("\"name\": \"Mine\",", "", "line")]
    [InlineData("\"name\": \"Mine\",", "\"name\": \"Mine\", \"apiKey\": \"sk-canary-value\",", "line")]
    [InlineData("\"m\"", "\"openai\"", "both called 'openai'")]
    [InlineData("\"m\"", "null", "'mine' in '.*' has a null in aliases")]
    [InlineData("\"mine_api_key\"", "\"mine_api_key\", null", "null in key.secrets")]
    [InlineData("\"models\"", "\"models\", \"headers\": {\"a\": null}", "null in check.headers")]
    [InlineData("\"models\"", "\"models\", \"headers\": {\"no header\": \"x\"}", "check.headers that no request")]
    [InlineData("\"models\"", "\"models\", \"works\": [99]", "check.works")]
    [InlineData("\"models\"", "\"models\", \"works\": []", "check.works")]
    [InlineData("\"models\"", "\"models\", \"works\": [200000000000]", @"check.works\[0\]")]
    [InlineData("\"models\"", "\"models\", \"works\": [null]", @"check.works\[0\]")]
    [InlineData("\"models\"", "null", "check.path")]
    [InlineData("\"mine\"", "null", @"'\$.providers\[0\].id'")]
    [InlineData("\"id\": \"mine\"", "\"id\": \"mine\", \"id\": \"other\"", "line 2")]
    [InlineData("[\"m\"]", "7", "aliases")]
    [InlineData("\"protocol\": \"openai\"", "\"protocol\": 7", "a number where a word belongs")]
    [InlineData("\"bearer\"", "7", "a number where a word belongs")]
    [InlineData("\"Mine\"", "\"\\ud800\"", "providers")]
    [InlineData("[ {", "[ null, {", @"'\$.providers\[0\]' in '.*' is null")]
    [InlineData("[ {", "{", "providers")]
    [InlineData("} ] }", "}, {\"id\": \"mine\", \"name\": \"n\", \"protocol\": \"openai\", \"baseUrl\": \"https://h\", \"key\": {\"header\": \"bearer\", \"secrets\": [\"a\"]}, \"check\": {\"path\": \"m\"}} ] }", @"'\$.providers\[1\]' in '.*' has the id 'mine' of another entry")]
    [InlineData("} ] }", "} ]", "line")]
    public async Task An_entry_that_breaks_a_rule_is_an_error_that_says_which(string part, string other, string expected)
    {
        await using var stage = await Stage.SetAsync();
        Assert.Contains(part, Whole, StringComparison.Ordinal);
        var error = await Assert.ThrowsAsync<SecretsException>(() => stage.LoadProvidersAsync(Whole.Replace(part, other, StringComparison.Ordinal)));
        Assert.Matches(expected, error.Problem);
        Assert.Contains(stage.PathOf("providers.json"), error.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_others_can_write_or_replace_is_refused()
    {
        await using var stage = await Stage.SetAsync();
        var folder = Directory.CreateDirectory(stage.PathOf("outer/inner")).FullName;
        var file = Path.Combine(folder, "providers.json");
        await File.WriteAllTextAsync(file, Whole, Stage.Cancel);
        foreach (var loose in new[] { file, folder, stage.PathOf("outer") })
        {
            var mode = File.GetUnixFileMode(loose);
            File.SetUnixFileMode(loose, mode | UnixFileMode.GroupWrite);
            Assert.Equal($"take that right away: chmod go-w {loose}", (await FailAsync(file)).Remedy);
            File.SetUnixFileMode(loose, mode);
            await ProviderCatalogue.LoadAsync(file, Stage.Cancel);
        }

        // as /tmp: others may make files, and replace none but their own
        File.SetUnixFileMode(folder, File.GetUnixFileMode(folder) | UnixFileMode.OtherWrite | UnixFileMode.StickyBit);
        await ProviderCatalogue.LoadAsync(file, Stage.Cancel);
    }

    [Fact]
    public async Task A_link_is_as_safe_as_the_folders_of_both_its_ends()
    {
        await using var stage = await Stage.SetAsync();
        await stage.LoadProvidersAsync(Whole);
        var folder = Directory.CreateDirectory(stage.PathOf("links")).FullName;
        var link = File.CreateSymbolicLink(Path.Combine(folder, "link.json"), stage.PathOf("providers.json")).FullName;
        var folderLink = Directory.CreateSymbolicLink(stage.PathOf("other"), folder).FullName;
        await ProviderCatalogue.LoadAsync(link, Stage.Cancel);
        await ProviderCatalogue.LoadAsync(Path.Combine(folderLink, "link.json"), Stage.Cancel);

        File.SetUnixFileMode(folder, File.GetUnixFileMode(folder) | UnixFileMode.OtherWrite);
        Assert.Contains("replace", (await FailAsync(link)).Problem, StringComparison.Ordinal);
        Assert.Contains("replace", (await FailAsync(Path.Combine(folderLink, "link.json"))).Problem, StringComparison.Ordinal);

        File.Delete(stage.PathOf("providers.json"));
        Assert.Contains("leads nowhere", (await FailAsync(link)).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_or_folder_of_another_user_is_refused()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can give a file away");
        await using var stage = await Stage.SetAsync();
        var folder = Directory.CreateDirectory(stage.PathOf("folder")).FullName;
        var file = Path.Combine(folder, "providers.json");
        await File.WriteAllTextAsync(file, Whole, Stage.Cancel);
        foreach (var given in new[] { file, folder })
        {
            await RunAsync("chown", "4711", given);
            Assert.Contains($"'{given}' belongs to another user (uid 4711)", (await FailAsync(file)).Problem, StringComparison.Ordinal);
            await RunAsync("chown", "0", given);
        }
    }

    [Fact]
    public async Task A_file_under_a_folder_of_another_user_is_refused_however_far_up_and_sticky_or_not()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can give a folder away");
        await using var stage = await Stage.SetAsync();
        var folder = Directory.CreateDirectory(stage.PathOf("given/own/inner")).FullName;
        var given = stage.PathOf("given");
        var file = Path.Combine(folder, "providers.json");
        await File.WriteAllTextAsync(file, Whole, Stage.Cancel);
        var link = File.CreateSymbolicLink(stage.PathOf("link.json"), file).FullName;
        await ProviderCatalogue.LoadAsync(link, Stage.Cancel);
        await RunAsync("chown", "4711", given);
        foreach (var mode in new[] { File.GetUnixFileMode(given), File.GetUnixFileMode(given) | UnixFileMode.StickyBit })
        {
            File.SetUnixFileMode(given, mode);
            Assert.Contains($"'{given}' belongs to another user (uid 4711)", (await FailAsync(file)).Problem, StringComparison.Ordinal);
            Assert.Contains($"'{given}' belongs to another user (uid 4711)", (await FailAsync(link)).Problem, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_chain_of_links_is_as_safe_as_each_of_its_folders()
    {
        await using var stage = await Stage.SetAsync();
        await stage.LoadProvidersAsync(Whole);
        var loose = Directory.CreateDirectory(stage.PathOf("loose")).FullName;
        File.CreateSymbolicLink(Path.Combine(loose, "second.json"), "../providers.json");
        var first = File.CreateSymbolicLink(stage.PathOf("first.json"), "loose/second.json").FullName;
        await ProviderCatalogue.LoadAsync(first, Stage.Cancel);
        File.SetUnixFileMode(loose, File.GetUnixFileMode(loose) | UnixFileMode.OtherWrite);
        Assert.Equal($"take that right away: chmod go-w {loose}", (await FailAsync(first)).Remedy);
    }

    [Fact]
    public async Task What_is_no_file_or_too_large_is_an_error_and_not_waited_for()
    {
        await using var stage = await Stage.SetAsync();
        await RunAsync("mkfifo", stage.PathOf("fifo"));
        foreach (var path in new[] { stage.PathOf("fifo"), "/dev/zero", stage.PathOf(".secrets") })
        {
            Assert.Contains($"'{path}' is no file", (await FailAsync(path)).Problem, StringComparison.Ordinal);
        }

        await File.WriteAllTextAsync(stage.PathOf("large"), Whole + new string(' ', 1 << 20), Stage.Cancel);
        Assert.Contains("larger than 1 MiB", (await FailAsync(stage.PathOf("large"))).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_an_error()
    {
        Assert.Contains("/nowhere/providers.json", (await FailAsync("/nowhere/providers.json")).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_entry_that_breaks_a_rule_is_told_apart_from_the_others_and_nothing_takes_its_place()
    {
        await using var stage = await Stage.SetAsync();
        await File.WriteAllTextAsync(
            stage.PathOf("providers.json"),
            Whole.Replace("\"mine\"", "\"openai\"", StringComparison.Ordinal).Replace("https://", "http://", StringComparison.Ordinal),
            Stage.Cancel);
        var catalogue = (await ProviderCatalogue.TryLoadAsync(stage.PathOf("providers.json"), Stage.Cancel))!;
        Assert.Contains("in the clear", catalogue.Faults["openai"].Problem, StringComparison.Ordinal);
        Assert.False(catalogue.TryFind("openai", out _));
        Assert.Equal(ProviderCatalogue.BuiltIn.All.Count - 1, catalogue.All.Count);
    }

    private static Task<SecretsException> FailAsync(string path) =>
        Assert.ThrowsAsync<SecretsException>(async () => await ProviderCatalogue.LoadAsync(path, Stage.Cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Stage.Cancel));

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(program, arguments);
        await process.WaitForExitAsync(Stage.Cancel);
        Assert.Equal(0, process.ExitCode);
    }
}
