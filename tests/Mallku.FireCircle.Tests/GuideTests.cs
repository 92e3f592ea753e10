using System.Text;
using Mallku.Secrets.Hosting;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Mallku.FireCircle.Tests;

/// <summary>What the guide shows is compiled here, and each of its lines stands in this file.</summary>
public sealed class GuideTests
{
    private static readonly string Root = FindRoot(AppContext.BaseDirectory);
    private static readonly string Here = Path.Combine(Root, "tests", "Mallku.FireCircle.Tests", "GuideTests.cs");
    private static readonly string Guide = Path.Combine(Root, "docs", "guide", "adapters.md");

    [Fact]
    public void Every_example_of_the_guide_stands_here()
    {
        var here = Squeeze(File.ReadAllText(Here));
        var examples = Blocks("csharp").ToList();
        Assert.NotEmpty(examples);
        Assert.All(examples, example => Assert.Contains(Squeeze(example), here, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_guides_file_of_providers_is_one()
    {
        await using var stage = await Stage.SetAsync();
        var house = (await stage.LoadProvidersAsync(Assert.Single(Blocks("json")))).Find("ours");
        Assert.Equal("our-model", house.Model);
        Assert.True(house.Key.Recognizes("house-" + new string('a', 32)));
    }

    [Fact]
    public void The_guides_table_of_providers_is_the_catalogues()
    {
        var guide = File.ReadAllText(Guide);
        foreach (var provider in ProviderCatalogue.BuiltIn.All)
        {
            var header = provider.Key.Header == KeyHeader.XApiKey ? "`x-api-key`" : "`Authorization: Bearer`";
            var aliases = string.Join(", ", provider.Aliases.Select(alias => $"`{alias}`"));
            var row = $"| `{provider.Id}` | {aliases} | {provider.Protocol} | {header}{(provider.Key.IsOptional ? ", if there is one" : "")} |";
            Assert.Contains(row.Replace("|  |", "| |", StringComparison.Ordinal), guide, StringComparison.Ordinal);
        }
    }

#pragma warning disable MA0002 // a guide's dictionaries need no comparer
    internal static async Task AskAsync()
    {
        using var factory = new AdapterFactory(SecretsManager.Open());
        using IChatClient claude = await factory.CreateAsync("anthropic");
        ChatResponse answer = await claude.GetResponseAsync("Who are you?");

        var options = new AdapterOptions
        {
            Provider = "openai",                         // "critic" below is then a name of your own, and the ledger has it
            Model = "gpt-4.1",
            Temperature = 0.2f,
            Secret = "team.openai",                      // in place of the provider's usual names
            BaseUrl = new Uri("https://proxy.example/v1"),
        };
        using IChatClient critic = factory.Create("critic", options);

        IReadOnlyDictionary<string, AdapterOptions> voices = await factory.InjectAsync(new Dictionary<string, AdapterOptions>
        {
            ["openai"] = new(),
            ["critic"] = new() { Provider = "anthropic" },
        });
    }

    internal static void Host(IServiceCollection services, IConfigurationBuilder configuration)
    {
        services.AddMallkuSecrets();
        services.AddMallkuAdapters(new Dictionary<string, AdapterOptions> { ["critic"] = new() { Provider = "anthropic" } });

        configuration.AddMallkuSecrets(new SecretsConfigurationOptions
        {
            Keys = new Dictionary<string, string> { ["Mail:Password"] = "mail_password" },
        });
    }

#pragma warning restore MA0002

    private static IEnumerable<string> Blocks(string language)
    {
        StringBuilder? block = null;
        foreach (var line in File.ReadLines(Guide))
        {
            if (block is not null && line == "```")
            {
                yield return block.ToString();
                block = null;
            }
            else if (block is not null)
            {
                block.AppendLine(line);
            }
            else if (line == $"```{language}")
            {
                block = new StringBuilder();
            }
        }
    }

    private static string Squeeze(string text) => string.Join('\n', text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));

    // a deterministic build knows no path of its sources
    private static string FindRoot(string folder) => File.Exists(Path.Combine(folder, "Mallku.slnx")) ? folder : FindRoot(Path.GetDirectoryName(folder)!);
}
