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
    [InlineData("\"id\": \"mine\"", "\"id\": \"Mine!\"", "id or alias")]
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
    [InlineData("} ] }", "} ]", "line")]
    public async Task An_entry_that_breaks_a_rule_is_an_error_that_says_which(string part, string other, string expected)
    {
        await using var stage = await Stage.SetAsync();
        Assert.Contains(part, Whole, StringComparison.Ordinal);
        var error = await Assert.ThrowsAsync<SecretsException>(() => stage.LoadProvidersAsync(Whole.Replace(part, other, StringComparison.Ordinal)));
        Assert.Contains(expected, error.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("canary", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_others_can_write_is_refused()
    {
        await using var stage = await Stage.SetAsync();
        await stage.LoadProvidersAsync(Whole);
        File.SetUnixFileMode(stage.PathOf("providers.json"), (UnixFileMode)0b110_110_100);
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await ProviderCatalogue.LoadAsync(stage.PathOf("providers.json"), Stage.Cancel));
        Assert.Contains("chmod go-w", error.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_an_error()
    {
        var error = await Assert.ThrowsAsync<SecretsException>(async () => await ProviderCatalogue.LoadAsync("/nowhere/providers.json", Stage.Cancel));
        Assert.Contains("/nowhere/providers.json", error.Problem, StringComparison.Ordinal);
    }
}
